package testca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// timestamper is a timestamp authority (RFC 3161).
type timestamper struct {
	root        fixture.Authority
	key         fixture.Key
	certificate *x509.Certificate
	usurper     fixture.Key // which signs under the certificate's name
}

// chain returns the authority's certificates, its own first.
func (t timestamper) chain() []*x509.Certificate {
	return append([]*x509.Certificate{t.certificate}, t.root.Chain...)
}

func newTimestamper(tb testing.TB, o Options) timestamper {
	tb.Helper()
	valid := o.Timestamper.ofCertificate()
	t := timestamper{root: newAuthority(tb, nil, "timestamp", o.TimestamperRoot, 0), key: newKey(tb, fixture.P256), usurper: newKey(tb, fixture.P256)}
	// The key's usage must be timestamps alone, and critical (RFC 3161 §2.3).
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		tb.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: valid.From, NotAfter: valid.Until,
		Subject:         pkix.Name{Organization: []string{"sigstore.test"}, CommonName: "timestamp-signer"},
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}
	if o.EditTimestamper != nil {
		o.EditTimestamper(template)
	}
	t.certificate = create(tb, template, &t.root, t.key)
	return t
}

// TimestampOptions make a timestamp wrong. The zero TimestampOptions makes one
// that verifies, of now.
type TimestampOptions struct {
	Time time.Time
	Hash crypto.Hash // of the message, default SHA-256
	// NoCertificates leaves the authority's certificates out of the response,
	// so that only one who has them can verify it.
	NoCertificates bool
	By             *Sigstore // another's authority
	Forged         bool      // another key signs in the authority's name
	OfOther        bool      // of another message
	BreakTime      bool      // the time was changed after it was signed
	Rejected       bool      // the authority answers that it does not sign
	// Message is stamped in place of the signature or envelope at hand.
	Message []byte
}

// Timestamp returns an authority's response in DER (RFC 3161 §2.4.2).
func (s *Sigstore) Timestamp(message []byte, o TimestampOptions) ([]byte, error) {
	if o.Message != nil {
		message = o.Message
	}
	if o.OfOther {
		message = append(bytes.Clone(message), "another"...)
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	by := s.stamper
	if o.By != nil {
		by = o.By.stamper
	}
	return by.respond(message, o)
}

// Timestamps returns a function for [fixture.BundleOptions] that stamps a
// bundle's signature once for each of the options, or once if there are none.
func (s *Sigstore) Timestamps(options ...TimestampOptions) func(fixture.Signed) ([][]byte, error) {
	if len(options) == 0 {
		options = []TimestampOptions{{}}
	}
	return func(signed fixture.Signed) ([][]byte, error) {
		var all [][]byte
		for _, o := range options {
			response, err := s.Timestamp(signed.Signature, o)
			if err != nil {
				return nil, err
			}
			all = append(all, response)
		}
		return all, nil
	}
}

// AnnotateTimestamp returns a function for [fixture.CosignOptions] and
// [fixture.AttestationOptions] that annotates a timestamp as cosign does: of a
// simple signing's signature, and of an attestation's whole envelope.
func (s *Sigstore) AnnotateTimestamp(o TimestampOptions) func(fixture.Signed) (map[string]string, error) {
	return func(signed fixture.Signed) (map[string]string, error) {
		message := signed.Signature
		if signed.Envelope != nil {
			message = signed.Envelope
		}
		response, err := s.Timestamp(message, o)
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": response})
		if err != nil {
			return nil, fmt.Errorf("write a timestamp's annotation: %w", err)
		}
		return map[string]string{fixture.AnnotationTimestamp: string(raw)}, nil
	}
}
