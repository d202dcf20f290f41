package sigstore

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/bonafide-dev/bonafide/evidence"
)

// keyVerifier lends a key to sigstore-go.
type keyVerifier keyParty

var _ root.TimeConstrainedVerifier = keyVerifier{}

var errNotByKey = errors.New("signature does not verify with the key")

func (v keyVerifier) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return v.key.key, nil
}

// VerifySignature ignores options: one that would replace the message by a
// digest makes it fail.
func (v keyVerifier) VerifySignature(sig, message io.Reader, _ ...signature.VerifyOption) error {
	s, err := readBounded(sig, maxSignature)
	if err != nil {
		return err
	}
	// A DSSE pre-authentication encoding adds little to a payload within bounds.
	m, err := readBounded(message, 2*evidence.MaxSignatureBytes)
	if err != nil {
		return err
	}
	if !v.key.verifies(m, s) {
		return errNotByKey
	}
	return nil
}

// ValidAtTime reports whether the key was in use.
func (v keyVerifier) ValidAtTime(t time.Time) bool {
	return (v.notBefore.IsZero() || !t.Before(v.notBefore)) && (v.notAfter.IsZero() || !t.After(v.notAfter))
}

func readBounded(r io.Reader, most int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if n > most {
		return nil, fmt.Errorf("expected at most %d bytes, got more", most)
	}
	return b.Bytes(), nil
}
