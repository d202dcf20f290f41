package sigstore

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/bonafide-dev/bonafide/evidence"
)

// checkBundleTime checks what testifies to a bundle's signature, log entries
// and timestamps, and lets sigstore-go verify the whole once more. It returns
// when the signature was made, if something proves it.
func (k *Key) checkBundleTime(b *protobundle.Bundle, c signed) (time.Time, error) {
	if k.options.TransparencyLog == LogIgnored {
		b.VerificationMaterial.TlogEntries = nil // not looked at, whatever it is
	} else if len(b.GetVerificationMaterial().GetTlogEntries()) == 0 {
		return time.Time{}, &evidence.Problem{Reason: evidence.LogEntryMissing, Expected: "an entry in a transparency log", Got: "none"}
	}
	entries, err := k.entries(b, c)
	if err != nil {
		return time.Time{}, err
	}
	entity, err := bundle.NewBundle(b)
	if err != nil {
		return time.Time{}, unsupported(err)
	}
	if err := k.checkWhole(entity, c.artifact); err != nil {
		return time.Time{}, err
	}
	times, err := k.loggedTimes(entity, entries)
	if err != nil {
		return time.Time{}, err
	}
	tokens, err := entity.Timestamps()
	if err != nil {
		return time.Time{}, malformed("timestamps", err)
	}
	stamped, err := k.checkTimestamps(tokens, c.signature)
	if err != nil {
		return time.Time{}, err
	}
	times = append(times, stamped...)
	if len(times) == 0 && anyWithoutTime(entries) {
		return time.Time{}, &evidence.Problem{Reason: evidence.TimestampMissing, Expected: "a timestamp beside an entry of Rekor v2, which has no time of its own", Got: "none"}
	}
	return k.checkTimes(times)
}

// entries reads the log entries and binds each to what was signed.
func (k *Key) entries(b *protobundle.Bundle, c signed) ([]*tlog.Entry, error) {
	var entries []*tlog.Entry
	for i, raw := range b.GetVerificationMaterial().GetTlogEntries() {
		if n := parts(raw.GetCanonicalizedBody()); n > maxParts {
			return nil, tooMany("parts of a log entry", maxParts, n)
		}
		if err := evidence.CheckJSON(raw.GetCanonicalizedBody()); err != nil {
			return nil, badEntry("a log entry's body", "", err)
		}
		entry, err := tlog.ParseTransparencyLogEntry(raw)
		if err != nil {
			return nil, badEntry("a log entry", "", err)
		}
		if err := tlog.ValidateEntry(entry); err != nil {
			return nil, badEntry("a log entry", "", err)
		}
		if err := k.bound(entry, c); err != nil {
			p := *evidence.ProblemOf(err)
			p.Got = fmt.Sprintf("%s as entry %d", p.Got, i)
			return nil, &p
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// bound checks that an entry is of this signature, key and content (TRUST R25).
// sigstore-go compares them too, but leaves it to the inclusion proof's form
// how.
func (k *Key) bound(entry *tlog.Entry, c signed) error {
	if !bytes.Equal(entry.Signature(), c.signature) {
		return badEntry("an entry of this signature", "one of another signature", nil)
	}
	if !k.key.equal(entry.PublicKey()) {
		return badEntry("an entry of "+k.Describe(), "one of another key", nil)
	}
	if logged, found := entry.GetDssePayloadHash(); found {
		if own := sha256.Sum256(c.payload); c.payload == nil || !bytes.Equal(logged, own[:]) {
			return badEntry("an entry of this payload", "one of another payload", nil)
		}
		return nil
	}
	logged, algorithm, found := entry.GetHashedRekordDigest()
	if !found {
		return badEntry("an entry of kind dsse, intoto or hashedrekord", "another", nil)
	}
	var hash crypto.Hash
	switch algorithm {
	case "sha256", "SHA2_256":
		hash = crypto.SHA256
	case "sha384", "SHA2_384":
		hash = crypto.SHA384
	case "sha512", "SHA2_512":
		hash = crypto.SHA512
	default:
		return badEntry("an entry with a SHA-2 hash", quote(algorithm), nil)
	}
	if !bytes.Equal(logged, sum(hash, c.message)) {
		return badEntry("an entry of this payload", "one of another payload", nil)
	}
	return nil
}

// checkWhole lets sigstore-go verify signature, subject, log entries and their
// proofs. The signature has been verified before, so what fails here is the
// log.
func (k *Key) checkWhole(entity *bundle.Bundle, artifact verify.ArtifactPolicyOption) error {
	options := []verify.VerifierOption{verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate()}
	reason, expected := evidence.MalformedEvidence, "a bundle that verifies"
	if k.options.TransparencyLog != LogIgnored {
		options = append(options, verify.WithTransparencyLog(1))
		reason, expected = evidence.LogEntryInvalid, "an entry in a log of the trusted root"
	}
	verifier, err := verify.NewVerifier(k.material, options...)
	if err != nil {
		return &evidence.Problem{Reason: evidence.Internal, Err: err}
	}
	if _, err := verifier.Verify(entity, verify.NewPolicy(artifact, verify.WithKey())); err != nil {
		return &evidence.Problem{Reason: reason, Expected: expected, Err: err}
	}
	return nil
}

// loggedTimes returns the times that logs have signed. An entry's time without
// a signed entry timestamp is nobody's word (TRUST R26).
func (k *Key) loggedTimes(entity *bundle.Bundle, entries []*tlog.Entry) ([]time.Time, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	const trustSigned = true
	logged, err := verify.VerifyTlogEntry(entity, k.material, 1, trustSigned)
	if err != nil {
		return nil, &evidence.Problem{Reason: evidence.LogEntryInvalid, Expected: "an entry in a log of the trusted root", Err: err}
	}
	var times []time.Time
	for _, t := range logged {
		times = append(times, t.Time)
	}
	return times, nil
}

func anyWithoutTime(entries []*tlog.Entry) bool {
	for _, e := range entries {
		if e.IsRekorV2() {
			return true
		}
	}
	return false
}
