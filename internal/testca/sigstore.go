package testca

import (
	"encoding/hex"
	"encoding/pem"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const (
	logHost   = "rekor.test"
	logTreeID = "1193050959916656506" // any tree's; the public log's looks like this

	// age is how long ago everything became valid by default, and how long its
	// certificates still live.
	age = 10 * 365 * 24 * time.Hour
)

// Period is when something is valid. A zero From is ten years ago, a zero
// Until no end in a trusted root and in ten years in a certificate.
type Period struct {
	From, Until time.Time
}

// Options shape a Sigstore. The zero Options has a log whose key is valid from
// ten years ago on, without an end.
type Options struct {
	LogValidFrom, LogValidUntil time.Time

	// Whole lists all of the Sigstore in the trusted root: besides the log its
	// Fulcio, certificate log, timestamp authority and log of Rekor v2. They
	// exist without it too, unlisted.
	Whole bool

	Fulcio    Period // of the authority in the trusted root
	CTLog     Period
	Authority Period // of the timestamp authority in the trusted root
	Rekor2    Period

	FulcioRoot, FulcioIntermediate Period // of the certificates
	Timestamper, TimestamperRoot   Period // of the timestamp authority's certificates
	// EditTimestamper changes the timestamp authority's own certificate before
	// it is signed. It may be nil.
	EditTimestamper func(*Template)

	// Rekor2ECDSA gives the log of Rekor v2 a P-256 key in place of an Ed25519
	// key, which is usual.
	Rekor2ECDSA bool
	// Edit changes the trusted root before it is written. It may be nil.
	Edit func(*prototrust.TrustedRoot)
}

// Sigstore is a trusted root and what it trusts. It is immutable and safe for
// concurrent use.
type Sigstore struct {
	log     fixture.Key
	logID   []byte // SHA-256 of the key's PKIX form
	log2    fixture.Key
	log2ID  []byte
	fulcio  fulcio
	ctLog   fixture.Key
	ctLogID []byte
	stamper timestamper

	root     *prototrust.TrustedRoot
	rootJSON []byte
}

// New makes a Sigstore with fresh keys.
func New(tb testing.TB, o Options) *Sigstore {
	tb.Helper()
	s := &Sigstore{log: newKey(tb, fixture.P256), ctLog: newKey(tb, fixture.P256), log2: newKey(tb, fixture.Ed25519)}
	if o.Rekor2ECDSA {
		s.log2 = newKey(tb, fixture.P256)
	}
	s.logID, s.ctLogID = sum(publicDER(s.log)), sum(publicDER(s.ctLog))
	s.log2ID = noteKeyID(log2Host, s.log2)
	s.fulcio, s.stamper = newFulcio(tb, o), newTimestamper(tb, o)

	s.root = &prototrust.TrustedRoot{
		MediaType: root.TrustedRootMediaType01,
		Tlogs:     []*prototrust.TransparencyLogInstance{logInstance(logHost, s.log, s.logID, Period{o.LogValidFrom, o.LogValidUntil})},
	}
	if o.Whole {
		second := logInstance(log2Host, s.log2, s.log2ID, o.Rekor2)
		second.CheckpointKeyId = second.GetLogId()
		s.root.Tlogs = append(s.root.Tlogs, second)
		s.root.Ctlogs = []*prototrust.TransparencyLogInstance{logInstance("ct.test", s.ctLog, s.ctLogID, o.CTLog)}
		s.root.CertificateAuthorities = []*prototrust.CertificateAuthority{authority("fulcio.test", s.fulcio.intermediate.Chain, o.Fulcio)}
		s.root.TimestampAuthorities = []*prototrust.CertificateAuthority{authority("timestamp.test", s.stamper.chain(), o.Authority)}
	}
	if o.Edit != nil {
		o.Edit(s.root)
	}
	s.rootJSON = s.EditedRoot(tb, nil)
	return s
}

func newKey(tb testing.TB, kind fixture.KeyKind) fixture.Key {
	tb.Helper()
	key, err := fixture.NewKey(kind)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// publicDER returns a public key in DER.
func publicDER(key fixture.Key) []byte {
	block, _ := pem.Decode(key.PublicPEM)
	return block.Bytes
}

func logInstance(host string, key fixture.Key, id []byte, valid Period) *prototrust.TransparencyLogInstance {
	details := protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
	if edwards(key) {
		details = protocommon.PublicKeyDetails_PKIX_ED25519
	}
	return &prototrust.TransparencyLogInstance{
		BaseUrl: "https://" + host, HashAlgorithm: protocommon.HashAlgorithm_SHA2_256,
		PublicKey: &protocommon.PublicKey{RawBytes: publicDER(key), KeyDetails: details, ValidFor: valid.timeRange()},
		LogId:     &protocommon.LogId{KeyId: id},
	}
}

func (p Period) timeRange() *protocommon.TimeRange {
	if p.From.IsZero() {
		p.From = time.Now().Add(-age)
	}
	valid := &protocommon.TimeRange{Start: timestamppb.New(p.From)}
	if !p.Until.IsZero() {
		valid.End = timestamppb.New(p.Until)
	}
	return valid
}

// TrustedRoot returns the content of a trusted_root.json.
func (s *Sigstore) TrustedRoot() []byte { return s.rootJSON }

// Protobuf returns a copy of the trusted root, parts of which another's
// [Options].Edit may add to its own.
func (s *Sigstore) Protobuf() *prototrust.TrustedRoot { return proto.CloneOf(s.root) }

// EditedRoot returns the content of a trusted_root.json that differs from the
// Sigstore's own, such as one that leaves a part out.
func (s *Sigstore) EditedRoot(tb testing.TB, edit func(*prototrust.TrustedRoot)) []byte {
	tb.Helper()
	edited := proto.CloneOf(s.root)
	if edit != nil {
		edit(edited)
	}
	raw, err := protojson.Marshal(edited)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// Material returns the trusted root as sigstore-go reads it.
func (s *Sigstore) Material(tb testing.TB) *root.TrustedRoot {
	tb.Helper()
	material, err := root.NewTrustedRootFromJSON(s.rootJSON)
	if err != nil {
		tb.Fatal(err)
	}
	return material
}

// LogID returns the log's ID in hexadecimal.
func (s *Sigstore) LogID() string { return hex.EncodeToString(s.logID) }

// LogKey returns the log's public key in PEM.
func (s *Sigstore) LogKey() []byte { return s.log.PublicPEM }

// Log2ID returns the ID of the log of Rekor v2 in hexadecimal.
func (s *Sigstore) Log2ID() string { return hex.EncodeToString(s.log2ID) }

// Log2Key returns the public key of the log of Rekor v2 in PEM.
func (s *Sigstore) Log2Key() []byte { return s.log2.PublicPEM }

// CTLogKey returns the certificate log's public key in PEM.
func (s *Sigstore) CTLogKey() []byte { return s.ctLog.PublicPEM }

// FulcioChain returns Fulcio's certificates in PEM, the root last.
func (s *Sigstore) FulcioChain() []byte { return chainPEM(s.fulcio.intermediate.Chain) }

// TimestampChain returns the timestamp authority's certificates in PEM, its
// own first and the root last.
func (s *Sigstore) TimestampChain() []byte { return chainPEM(s.stamper.chain()) }
