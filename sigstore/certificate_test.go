package sigstore_test

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// leaf is a certificate such as Fulcio issues, in DER.
func leaf(tb testing.TB, k fixture.Key) []byte {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), EmailAddresses: []string{"dev@acme.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Signer.Public(), k.Signer)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
