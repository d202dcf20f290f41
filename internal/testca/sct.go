package testca

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// SCTOptions make a certificate log's timestamp wrong. The zero SCTOptions
// makes one that verifies, of the time when the certificate begins.
type SCTOptions struct {
	Time    time.Time
	By      *Sigstore // another's log
	Forged  *Sigstore // another's log signs under this one's ID
	Broken  bool      // its signature is over another certificate
	Version byte      // default 0, which is version 1
}

// The constants of RFC 6962 §3.2 and of TLS.
const (
	x509Entry    = 0
	precertEntry = 1
	hashSHA256   = 4
	signECDSA    = 3
)

// scts returns the log's timestamps of a certificate. That of a precertificate
// is over the certificate without timestamps.
func (s *Sigstore) scts(tb testing.TB, options []SCTOptions, c *x509.Certificate, issuer fixture.Key, pre bool) [][]byte {
	tb.Helper()
	if options == nil {
		options = []SCTOptions{{}}
	}
	var all [][]byte
	for _, o := range options {
		sct, err := s.sct(o, c, issuer, pre)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, sct)
	}
	return all
}

func (s *Sigstore) sct(o SCTOptions, c *x509.Certificate, issuer fixture.Key, pre bool) ([]byte, error) {
	signer, id := s.ctLog, s.ctLogID
	if o.By != nil {
		signer, id = o.By.ctLog, o.By.ctLogID
	}
	if o.Forged != nil {
		signer = o.Forged.ctLog
	}
	if o.Time.IsZero() {
		o.Time = c.NotBefore
	}
	stamp := binary.BigEndian.AppendUint64(nil, uint64(o.Time.UnixMilli()))

	signed := append([]byte{o.Version, 0}, stamp...) // 0: certificate_timestamp
	if pre {
		signed = append(binary.BigEndian.AppendUint16(signed, precertEntry), sum(publicDER(issuer))...)
		signed = opaque24(signed, c.RawTBSCertificate)
	} else {
		signed = opaque24(binary.BigEndian.AppendUint16(signed, x509Entry), c.Raw)
	}
	signed = append(signed, 0, 0) // no extensions
	if o.Broken {
		signed[len(signed)-3] ^= 1
	}
	signature, err := signer.Sign(signed, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	sct := append([]byte{o.Version}, id...)
	sct = append(append(sct, stamp...), 0, 0, hashSHA256, signECDSA)
	return opaque16(sct, signature), nil
}

// sctExtension embeds timestamps in a certificate (RFC 6962 §3.3).
func sctExtension(tb testing.TB, scts [][]byte) pkix.Extension {
	tb.Helper()
	var list []byte
	for _, sct := range scts {
		list = opaque16(list, sct)
	}
	raw, err := asn1.Marshal(opaque16(nil, list))
	if err != nil {
		tb.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: raw}
}

// opaque16 and opaque24 append content with its length, as TLS does.
func opaque16(to, content []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(content))), content...) //nolint:gosec // certificates are small
}

func opaque24(to, content []byte) []byte {
	return append(append(to, byte(len(content)>>16), byte(len(content)>>8), byte(len(content))), content...) //nolint:gosec // the three low bytes
}
