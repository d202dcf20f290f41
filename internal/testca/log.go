package testca

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const (
	logIndex = 4242 // across the log's shards; the proof counts within one
	treeSize = 2    // an earlier leaf and the entry, so that the proof has a hash

	kindHashedRekord = "hashedrekord"
	kindDSSE         = "dsse"
	kindInToto       = "intoto"
	kindVersion      = "0.0.1"
	inTotoVersion    = "0.0.2"
)

// EntryOptions make a log entry wrong. The zero EntryOptions makes one that
// verifies: integrated now, with a signed entry timestamp and an inclusion
// proof.
type EntryOptions struct {
	Time time.Time // when it was integrated, default now

	// Of is what the entry is about in place of the signature at hand: a
	// genuine entry that was copied.
	Of *fixture.Signed
	// Single members of the entry, in place of what was signed. Rekor's own
	// code, sigstore-go included, does not read a hashedrekord whose members
	// do not fit each other.
	PublicPEM []byte
	Signature []byte
	Message   []byte // whose digest is logged; for a DSSE envelope its payload
	Envelope  []byte // whose digest is logged

	Kind    string // "hashedrekord", "dsse" or "intoto"; default dsse for an envelope
	Version string // of the kind; default 0.0.2 for intoto, which has 0.0.1 too, else 0.0.1
	// Edit changes the entry's spec. It may be nil.
	Edit func(spec map[string]any)

	Log          *Sigstore // another log's key signs the entry under this one's ID
	BreakPromise bool      // the signed entry timestamp is over another time
	BreakProof   bool      // the inclusion proof is of another entry
	NoPromise    bool      // only an inclusion proof
	NoProof      bool      // only a signed entry timestamp, which no bundle since version 0.2 may have
	Index        int64     // in the log, default the same for each entry

	// Rekor2 puts the entry into the log of Rekor v2: by default of kind
	// hashedrekord, whatever was signed, or of kind dsse, both of version
	// 0.0.2. It has a proof, no promise, and no time unless Time is set, which
	// nobody signs. The index is up to 1024.
	Rekor2          bool
	Origin          string // names another log in the checkpoint of Rekor v2
	BreakCheckpoint bool   // the signature of Rekor v2's checkpoint is over another text
}

// Annotate returns a function for [fixture.CosignOptions] that puts the entry
// of a signature into cosign's annotation.
func (s *Sigstore) Annotate(o EntryOptions) func(fixture.Signed) (map[string]string, error) {
	return func(signed fixture.Signed) (map[string]string, error) {
		bundle, err := s.RekorBundle(signed, o)
		return map[string]string{fixture.AnnotationRekorBundle: bundle}, err
	}
}

// LogEntries returns a function for [fixture.BundleOptions] that adds one entry
// of a signature to its bundle for each of the options, or one that verifies
// if there are none.
func (s *Sigstore) LogEntries(options ...EntryOptions) func(fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
	if len(options) == 0 {
		options = []EntryOptions{{}}
	}
	return func(signed fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
		var entries []*protorekor.TransparencyLogEntry
		for _, o := range options {
			entry, err := s.Entry(signed, o)
			if err != nil {
				return nil, err
			}
			entries = append(entries, entry)
		}
		return entries, nil
	}
}

// RekorBundle returns the JSON of cosign's annotation dev.sigstore.cosign/bundle:
// a log's answer with its signed entry timestamp (cosign
// specs/SIGNATURE_SPEC.md, "bundle"). It never has an inclusion proof.
func (s *Sigstore) RekorBundle(signed fixture.Signed, o EntryOptions) (string, error) {
	entry, err := s.Entry(signed, o)
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": entry.GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload": map[string]any{
			"body":           base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()),
			"integratedTime": entry.GetIntegratedTime(),
			"logIndex":       entry.GetLogIndex(),
			"logID":          hex.EncodeToString(entry.GetLogId().GetKeyId()),
		},
	})
	if err != nil {
		return "", fmt.Errorf("write a log entry: %w", err)
	}
	return string(raw), nil
}

// Entry returns the log entry of a signature.
//
// A hashedrekord of an Ed25519 signature that is not pre-hashed is none that
// Rekor would hold.
func (s *Sigstore) Entry(signed fixture.Signed, o EntryOptions) (*protorekor.TransparencyLogEntry, error) {
	if o.Of != nil {
		signed = *o.Of
	}
	if o.Rekor2 {
		return s.entry2(signed, o)
	}
	if o.Kind == "" {
		if o.Kind = kindHashedRekord; signed.Envelope != nil {
			o.Kind = kindDSSE
		}
	}
	if o.Version == "" {
		if o.Version = kindVersion; o.Kind == kindInToto {
			o.Version = inTotoVersion
		}
	}
	body, err := o.body(signed)
	if err != nil {
		return nil, err
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	if o.Index == 0 {
		o.Index = logIndex
	}
	signer := s.log
	if o.Log != nil {
		signer = o.Log.log
	}
	entry := &protorekor.TransparencyLogEntry{
		LogIndex: o.Index, LogId: &protocommon.LogId{KeyId: s.logID},
		KindVersion: &protorekor.KindVersion{Kind: o.Kind, Version: o.Version}, IntegratedTime: o.Time.Unix(), CanonicalizedBody: body,
	}
	if !o.NoPromise {
		if entry.InclusionPromise, err = s.promise(signer, entry, o.BreakPromise); err != nil {
			return nil, err
		}
	}
	if !o.NoProof {
		if entry.InclusionProof, err = s.proof(signer, body, o.BreakProof); err != nil {
			return nil, err
		}
	}
	return entry, nil
}

// body returns the entry's canonical JSON: members sorted, no white space
// (RFC 8785), which encoding/json writes for maps of plain ASCII.
func (o EntryOptions) body(signed fixture.Signed) ([]byte, error) {
	signed, verifier := o.apply(signed)
	var spec map[string]any
	switch o.Kind {
	case kindHashedRekord:
		spec = map[string]any{
			"data":      map[string]any{"hash": hashed(signed.Hash, signed.Message)},
			"signature": map[string]any{"content": signed.Signature, "publicKey": map[string]any{"content": verifier}},
		}
	case kindDSSE:
		spec = map[string]any{
			"envelopeHash": hashed(crypto.SHA256, signed.Envelope),
			"payloadHash":  hashed(crypto.SHA256, signed.Payload),
			"signatures":   []any{map[string]any{"signature": signed.Signature, "verifier": verifier}},
		}
	case kindInToto:
		spec = o.inToto(signed, verifier)
	default:
		return nil, fmt.Errorf("expected a known kind of entry, got %q", o.Kind)
	}
	if o.Edit != nil {
		o.Edit(spec)
	}
	body, err := json.Marshal(map[string]any{"apiVersion": o.Version, "kind": o.Kind, "spec": spec})
	if err != nil {
		return nil, fmt.Errorf("write an entry's body: %w", err)
	}
	return body, nil
}

// apply replaces single members of what was signed. It returns the PEM that
// verifies it too.
func (o EntryOptions) apply(signed fixture.Signed) (replaced fixture.Signed, verifier []byte) {
	verifier = signed.PublicPEM
	if signed.Certificate != nil {
		verifier = signed.Certificate
	}
	if o.PublicPEM != nil {
		verifier = o.PublicPEM
	}
	if o.Signature != nil {
		signed.Signature = o.Signature
	}
	if o.Envelope != nil {
		signed.Envelope = o.Envelope
	}
	if o.Message != nil {
		signed.Message, signed.Payload = o.Message, o.Message
	}
	return signed, verifier
}

// inToto returns the spec of an entry of kind intoto: version 0.0.1 holds the
// hash of the envelope, 0.0.2 its signatures too.
func (o EntryOptions) inToto(signed fixture.Signed, verifier []byte) map[string]any {
	content := map[string]any{"hash": hashed(crypto.SHA256, signed.Envelope), "payloadHash": hashed(crypto.SHA256, signed.Payload)}
	if o.Version == kindVersion {
		return map[string]any{"content": content, "publicKey": verifier}
	}
	content["envelope"] = map[string]any{
		"payloadType": fixture.PayloadTypeInToto,
		"signatures":  []any{map[string]any{"publicKey": verifier, "sig": []byte(base64.StdEncoding.EncodeToString(signed.Signature))}},
	}
	return map[string]any{"content": content}
}

func hashed(hash crypto.Hash, content []byte) map[string]any {
	h := hash.New()
	h.Write(content)
	name := strings.ToLower(strings.ReplaceAll(hash.String(), "-", ""))
	return map[string]any{"algorithm": name, "value": hex.EncodeToString(h.Sum(nil))}
}

// promise signs the entry's canonical JSON, Rekor's signed entry timestamp.
func (s *Sigstore) promise(signer fixture.Key, entry *protorekor.TransparencyLogEntry, broken bool) (*protorekor.InclusionPromise, error) {
	integrated := entry.GetIntegratedTime()
	if broken {
		integrated++
	}
	canonical, err := json.Marshal(map[string]any{
		"body":           base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()),
		"integratedTime": integrated,
		"logID":          s.LogID(),
		"logIndex":       entry.GetLogIndex(),
	})
	if err != nil {
		return nil, fmt.Errorf("write what a log promises: %w", err)
	}
	signature, err := signer.Sign(canonical, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign an entry timestamp: %w", err)
	}
	return &protorekor.InclusionPromise{SignedEntryTimestamp: signature}, nil
}

// proof returns the proof that the entry is the second of two leaves, under a
// signed checkpoint (RFC 6962 §2.1; C2SP tlog-checkpoint).
func (s *Sigstore) proof(signer fixture.Key, body []byte, broken bool) (*protorekor.InclusionProof, error) {
	first := leafHash([]byte("an earlier entry"))
	leaf := leafHash(body)
	if broken {
		leaf = leafHash([]byte("another entry"))
	}
	rootHash := sum(append(append([]byte{1}, first...), leaf...))
	text := fmt.Sprintf("%s - %s\n%d\n%s\n", logHost, logTreeID, treeSize, base64.StdEncoding.EncodeToString(rootHash))
	signature, err := signer.Sign([]byte(text), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	// A note's signature line begins with four bytes that hint at its key.
	note := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(s.logID))
	note = append(note, signature...)
	return &protorekor.InclusionProof{
		LogIndex: treeSize - 1, TreeSize: treeSize, RootHash: rootHash, Hashes: [][]byte{first},
		Checkpoint: &protorekor.Checkpoint{Envelope: text + "\n— " + logHost + " " + base64.StdEncoding.EncodeToString(note) + "\n"},
	}, nil
}

func leafHash(content []byte) []byte { return sum(append([]byte{0}, content...)) }

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}
