package sigstore

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// provenByBundle checks what testifies to a bundle's signature: log entries and
// timestamps.
func (s *Signer) provenByBundle(b *protobundle.Bundle, c signed) (proven, error) {
	if s.options.TransparencyLog == LogIgnored {
		b.VerificationMaterial.TlogEntries = nil // not looked at, whatever it is
	} else if len(b.GetVerificationMaterial().GetTlogEntries()) == 0 {
		return proven{}, &evidence.Problem{Reason: evidence.LogEntryMissing, Expected: "an entry in a transparency log", Got: "none"}
	}
	entries, err := entriesOf(b, c)
	if err != nil {
		return proven{}, err
	}
	entity, err := bundle.NewBundle(b, formOf(b)...)
	if err != nil {
		return proven{}, unsupported(err)
	}
	var p proven
	if p.entries, err = s.logged(entity, entries); err != nil {
		return proven{}, err
	}
	tokens, err := entity.Timestamps()
	if err != nil {
		return proven{}, malformed("timestamps", err)
	}
	if p.stamped, err = s.checkTimestamps(tokens, c.signature); err != nil {
		return proven{}, err
	}
	// Without a time nothing says that the log's key was in use. Entries of Rekor's
	// version 2 have none, and others only under a signed entry timestamp.
	if len(entries) > 0 && len(p.times()) == 0 {
		return proven{}, &evidence.Problem{Reason: evidence.TimestampMissing, Expected: "a timestamp beside a log entry without a signed time of its own", Got: "none"}
	}
	return p, s.checkLogTimes(p)
}

// formOf allows what cosign 3 writes with a certificate and its chain, though a
// bundle of version 0.3 is to have the certificate alone (sigstore_bundle.proto,
// VerificationMaterial). Older ones may have either.
func formOf(b *protobundle.Bundle) []bundle.Option {
	if b.GetVerificationMaterial().GetX509CertificateChain() == nil || !(&bundle.Bundle{Bundle: b}).MinVersion("v0.3") {
		return nil
	}
	return []bundle.Option{bundle.AllowCertificateChain()}
}

// entriesOf reads the log entries and binds each to what was signed.
func entriesOf(b *protobundle.Bundle, c signed) ([]*tlog.Entry, error) {
	var entries []*tlog.Entry
	for i, raw := range b.GetVerificationMaterial().GetTlogEntries() {
		if n := commas(raw.GetCanonicalizedBody()); n > maxParts {
			return nil, tooMany("parts of a log entry", maxParts, n)
		}
		if err := evidence.CheckJSON(raw.GetCanonicalizedBody()); err != nil {
			return nil, badEntry("a log entry's body", "", err)
		}
		if err := checkBodyIsHolders(c.by, raw.GetCanonicalizedBody()); err != nil {
			return nil, asEntry(err, i)
		}
		entry, err := tlog.ParseTransparencyLogEntry(raw)
		if err != nil {
			return nil, badEntry("a log entry", "", err)
		}
		if err := tlog.ValidateEntry(entry); err != nil {
			return nil, badEntry("a log entry", "", err)
		}
		if err := checkVersion(entry); err != nil {
			return nil, asEntry(err, i)
		}
		if err := bound(entry, c); err != nil {
			return nil, asEntry(err, i)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// asEntry says which entry a problem is with.
func asEntry(err error, i int) error {
	p := *evidence.ProblemOf(err)
	if p.Got != "" {
		p.Got = fmt.Sprintf("%s as entry %d", p.Got, i)
	}
	return &p
}

// bound checks that an entry is of this signature, key and content (TRUST R25).
// sigstore-go compares them too, but leaves it to the inclusion proof's form
// how.
func bound(entry *tlog.Entry, c signed) error {
	if !bytes.Equal(entry.Signature(), c.signature) {
		return anotherEntry("signature", nil)
	}
	if err := c.by.named(keyOf(entry.PublicKey())); err != nil {
		return err
	}
	if logged, found := entry.GetDssePayloadHash(); found {
		if own := sha256.Sum256(c.payload); c.payload == nil || !bytes.Equal(logged, own[:]) {
			return anotherEntry("payload", nil)
		}
		return nil
	}
	logged, algorithm, found := entry.GetHashedRekordDigest()
	if !found {
		return badEntry("an entry of kind dsse, intoto or hashedrekord", "another", nil)
	}
	hash := hashNamed(algorithm)
	if hash == 0 { // Rekor v2 uses the names of Sigstore's protocol
		hash, _ = hashNumbered(protocommon.HashAlgorithm(protocommon.HashAlgorithm_value[algorithm]))
	}
	if hash == 0 {
		return badEntry("an entry with a SHA-2 hash", quote(algorithm), nil)
	}
	if own := c.message.sum(hash); own == nil || !bytes.Equal(logged, own) {
		return anotherEntry("payload", nil)
	}
	return nil
}

// keyOf tells the two things apart that an entry may name.
func keyOf(named any) (crypto.PublicKey, *x509.Certificate) {
	if c, is := named.(*x509.Certificate); is {
		return c.PublicKey, c
	}
	return named, nil
}

// oneEntry is a bundle of which one log entry is looked at.
type oneEntry struct {
	*bundle.Bundle
	entry *tlog.Entry
}

// TlogEntries returns the one.
func (o oneEntry) TlogEntries() ([]*tlog.Entry, error) { return []*tlog.Entry{o.entry}, nil }

// logged returns the entries that logs of the trusted root have signed, which
// must be one at least. Those of other logs prove nothing and are passed over.
func (s *Signer) logged(entity *bundle.Bundle, entries []*tlog.Entry) ([]policy.LogFacts, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	var all []policy.LogFacts
	for i, entry := range entries {
		if slices.ContainsFunc(entries[:i], func(o *tlog.Entry) bool { return o.LogKeyID() == entry.LogKeyID() && o.LogIndex() == entry.LogIndex() }) {
			return nil, badEntry("each log entry once", fmt.Sprintf("entry %d twice", entry.LogIndex()), nil) // CVE-2026-49834
		}
		id := hex.EncodeToString([]byte(entry.LogKeyID()))
		if _, known := s.options.TrustedRoot.root.RekorLogs()[id]; !known {
			continue
		}
		const trustSigned = true // an entry's time without a signed entry timestamp is nobody's word (TRUST R26)
		times, err := verify.VerifyTlogEntry(oneEntry{entity, entry}, s.material, 1, trustSigned)
		if err != nil {
			return nil, s.entryProblem(entry, id, err)
		}
		f := policy.LogFacts{Log: id, Index: entry.LogIndex()}
		if len(times) == 1 {
			f.Time = times[0].Time
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		return nil, badEntry("an entry in a log of the trusted root", "one in log "+quote(hex.EncodeToString([]byte(entries[0].LogKeyID()))), nil)
	}
	return all, nil
}

// shortLogID is enough of a log's id for people to compare.
const shortLogID = 12

// entryProblem says what is wrong with an entry of a known log. One with a signed
// entry timestamp that does not verify sigstore-go counts as none, and says so.
func (s *Signer) entryProblem(entry *tlog.Entry, id string, err error) error {
	problem := &evidence.Problem{Reason: evidence.LogEntryInvalid, Expected: "an entry in a log of the trusted root", Err: err}
	if entry.HasInclusionPromise() {
		if broken := tlog.VerifySET(entry, s.options.TrustedRoot.root.RekorLogs()); broken != nil {
			problem.Got, problem.Err = "an entry whose signature by log "+id[:min(len(id), shortLogID)]+"… does not verify", broken
		}
	}
	return problem
}
