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
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const (
	logHost   = "rekor.test"
	logTreeID = "1193050959916656506" // any tree's; the public log's looks like this

	// logAge is how long ago the log's key became valid. Entries at any time
	// since then verify.
	logAge = 10 * 365 * 24 * time.Hour
)

// Options shape a Sigstore. The zero Options has a log whose key is valid from
// ten years ago on, without an end.
type Options struct {
	LogValidFrom, LogValidUntil time.Time
}

// Sigstore is a trusted root and what it trusts. It is immutable and safe for
// concurrent use.
type Sigstore struct {
	log      fixture.Key
	logID    []byte // SHA-256 of the key's PKIX form
	rootJSON []byte
}

// New makes a Sigstore with fresh keys.
func New(tb testing.TB, o Options) *Sigstore {
	tb.Helper()
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Sigstore{log: key}
	block, _ := pem.Decode(key.PublicPEM)
	s.logID = sum(block.Bytes)
	if o.LogValidFrom.IsZero() {
		o.LogValidFrom = time.Now().Add(-logAge)
	}
	validity := &protocommon.TimeRange{Start: timestamppb.New(o.LogValidFrom)}
	if !o.LogValidUntil.IsZero() {
		validity.End = timestamppb.New(o.LogValidUntil)
	}
	details := protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
	trusted := &prototrust.TrustedRoot{
		MediaType: root.TrustedRootMediaType01,
		Tlogs: []*prototrust.TransparencyLogInstance{{
			BaseUrl: "https://" + logHost, HashAlgorithm: protocommon.HashAlgorithm_SHA2_256,
			PublicKey: &protocommon.PublicKey{RawBytes: block.Bytes, KeyDetails: details, ValidFor: validity},
			LogId:     &protocommon.LogId{KeyId: s.logID},
		}},
	}
	if s.rootJSON, err = protojson.Marshal(trusted); err != nil {
		tb.Fatal(err)
	}
	return s
}

// TrustedRoot returns the content of a trusted_root.json.
func (s *Sigstore) TrustedRoot() []byte { return s.rootJSON }

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
