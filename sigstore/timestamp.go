package sigstore

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxTimestamps bounds the timestamps of one signature (TRUST R1;
// CVE-2024-45395).
const maxTimestamps = 32

// checkTimestamps verifies every timestamp whose authority is in the trusted
// root and returns the times that they prove (TRUST R26). Those of other
// authorities prove nothing and are passed over. A timestamp is of one of the
// messages: the signature, or what holds it.
func (k *Key) checkTimestamps(tokens [][]byte, messages ...[]byte) ([]time.Time, error) {
	if len(tokens) > maxTimestamps {
		return nil, tooMany("timestamps", maxTimestamps, len(tokens))
	}
	if k.options.TrustedRoot == nil {
		return nil, nil
	}
	authorities := k.options.TrustedRoot.root.TimestampingAuthorities()
	if len(authorities) == 0 {
		return nil, nil
	}
	var times []time.Time
	for _, token := range tokens {
		t, err := checkTimestamp(authorities, token, messages)
		if err != nil {
			return nil, &evidence.Problem{Reason: evidence.TimestampInvalid, Expected: "a timestamp of this signature by an authority of the trusted root", Err: err}
		}
		if !t.IsZero() {
			times = append(times, t)
		}
	}
	return times, nil
}

// checkTimestamp returns the time that a token proves; zero if it is by an
// authority that is not among those given.
func checkTimestamp(authorities []root.TimestampingAuthority, token []byte, messages [][]byte) (time.Time, error) {
	var failed error
	for _, authority := range authorities {
		for _, message := range messages {
			stamped, err := authority.Verify(token, message)
			if err == nil {
				return stamped.Time, nil
			}
			failed = err
		}
	}
	issuers, err := issuersOf(token)
	if err != nil {
		return time.Time{}, err
	}
	for _, authority := range authorities {
		if issuedWithin(authority, issuers) {
			return time.Time{}, failed
		}
	}
	return time.Time{}, nil
}

// issuersOf returns the names of those who issued the certificates of a
// token's signers, in DER.
func issuersOf(token []byte) ([][]byte, error) {
	response, err := timestamp.ParseResponse(token)
	if err != nil {
		return nil, fmt.Errorf("parse timestamp: %w", err)
	}
	signed, err := pkcs7.Parse(response.RawToken)
	if err != nil {
		return nil, fmt.Errorf("parse timestamp: %w", err)
	}
	var issuers [][]byte
	for _, s := range signed.Signers {
		issuers = append(issuers, s.IssuerAndSerialNumber.IssuerName.FullBytes)
	}
	return issuers, nil
}

// issuedWithin reports whether one of the issuers is a certificate of the
// authority's. Authorities of a kind that is not known count as theirs.
func issuedWithin(authority root.TimestampingAuthority, issuers [][]byte) bool {
	a, is := authority.(*root.SigstoreTimestampingAuthority)
	if !is {
		return true
	}
	var names [][]byte
	if a.Leaf != nil {
		names = append(names, a.Leaf.RawIssuer)
	}
	if a.Root != nil {
		names = append(names, a.Root.RawSubject)
	}
	for _, c := range a.Intermediates {
		names = append(names, c.RawSubject)
	}
	for _, issuer := range issuers {
		for _, name := range names {
			if bytes.Equal(issuer, name) {
				return true
			}
		}
	}
	return false
}

// checkTimes compares the proven times with the key's own validity (TRUST R26;
// CVE-2026-54787) and returns the earliest; zero if there is none.
func (k *Key) checkTimes(times []time.Time) (time.Time, error) {
	if len(times) == 0 && !k.options.expires() {
		return time.Time{}, nil
	}
	if len(times) == 0 {
		return time.Time{}, &evidence.Problem{Reason: evidence.TimestampMissing, Expected: "a proven time for a key that is valid for a limited time", Got: "none"}
	}
	v := keyVerifier{notBefore: k.options.NotBefore, notAfter: k.options.NotAfter}
	for _, t := range times {
		if !v.ValidAtTime(t) {
			return time.Time{}, &evidence.Problem{
				Reason:   evidence.TimestampInvalid,
				Expected: fmt.Sprintf("a time from %q to %q, when the key was valid", instant(v.notBefore), instant(v.notAfter)),
				Got:      instant(t),
			}
		}
	}
	return slices.MinFunc(times, time.Time.Compare), nil
}
