package sigstore

import (
	"bytes"
	"errors"
	"fmt"
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
func (s *Signer) checkTimestamps(tokens [][]byte, messages ...[]byte) ([]time.Time, error) {
	if len(tokens) > maxTimestamps {
		return nil, tooMany("timestamps", maxTimestamps, len(tokens))
	}
	var authorities []root.TimestampingAuthority
	if s.options.TrustedRoot != nil {
		authorities = s.options.TrustedRoot.root.TimestampingAuthorities()
	}
	if len(authorities) == 0 {
		return nil, nil // none is required, or the signer would not have been made
	}
	var times []time.Time
	for _, token := range tokens {
		if err := checkToken(token); err != nil {
			if bounded := (*evidence.Problem)(nil); errors.As(err, &bounded) {
				return nil, bounded
			}
			return nil, &evidence.Problem{Reason: evidence.TimestampInvalid, Expected: "a timestamp that can be read", Err: err}
		}
		t, err := checkTimestamp(authorities, token, messages)
		if err != nil {
			return nil, &evidence.Problem{Reason: evidence.TimestampInvalid, Expected: "a timestamp of this signature by an authority of the trusted root", Err: err}
		}
		if !t.IsZero() {
			times = append(times, t)
		}
	}
	if len(times) == 0 && s.options.Timestamps == TimestampsRequired {
		problem := &evidence.Problem{Reason: evidence.TimestampMissing, Expected: "a timestamp by an authority of the trusted root", Got: "none"}
		if len(tokens) > 0 {
			problem.Got = "one by another authority"
		}
		return nil, problem
	}
	return times, nil
}

// checkTimestamp returns the time that a token proves; zero if it is by an
// authority that is not among those given.
func checkTimestamp(authorities []root.TimestampingAuthority, token []byte, messages [][]byte) (time.Time, error) {
	failed := make([]error, len(authorities))
	for i, authority := range authorities {
		for _, message := range messages {
			stamped, err := authority.Verify(token, message)
			if err == nil {
				return stamped.Time, nil
			}
			failed[i] = err
		}
	}
	issuers, err := issuersOf(token)
	if err != nil {
		return time.Time{}, err
	}
	for i, authority := range authorities {
		if issuedWithin(authority, issuers) {
			return time.Time{}, failed[i]
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
