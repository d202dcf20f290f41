package notation_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/tspclient-go"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// tsa is a timestamp authority whose clock the test sets.
type tsa struct {
	pki
	time     time.Time
	accuracy time.Duration
}

func newTSA(t testing.TB, at time.Time, o fixture.CertificateOptions) *tsa {
	t.Helper()
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	must(t, usage, err)
	o.Subject = subject("tsa")
	o.Edit = func(c *x509.Certificate) {
		c.ExtKeyUsage = nil
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
	}
	return &tsa{pki: newPKI(t, o), time: at, accuracy: time.Second}
}

func (a *tsa) Timestamp(_ context.Context, r *tspclient.Request) (*tspclient.Response, error) {
	stamp := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: r.MessageImprint.HashedMessage, Time: a.time, Accuracy: a.accuracy,
		Nonce: r.Nonce, Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true,
	}
	raw, err := stamp.CreateResponseWithOpts(a.leaf.Certificate(), a.leaf.Key.Signer, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var response tspclient.Response
	return &response, response.UnmarshalBinary(raw)
}

// stamp has a signature timestamped.
func (a *tsa) stamp(o fixture.NotationOptions) fixture.NotationOptions {
	o.Request = func(r *signature.SignRequest) {
		r.Timestamper, r.TSARootCAs = a, x509.NewCertPool()
		r.TSARootCAs.AddCert(a.root.Certificate())
	}
	return o
}

func TestR26TimestampWithinEveryCertificate(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	expired := fixture.CertificateOptions{NotBefore: now.Add(-9 * hour), NotAfter: now.Add(-hour)}
	fresh := fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)}
	for name, tc := range map[string]struct {
		reason   string
		leaf     fixture.CertificateOptions
		at       time.Time     // of the timestamp; zero for none
		accuracy time.Duration // default a second
		other    bool          // the timestamp is by an authority that is not trusted
		option   string
		want     evidence.Reason
	}{
		"WithinExpiredChain": {reason: "the signature was made while the chain was valid", leaf: expired, at: now.Add(-2 * hour), want: ""},
		"AfterChain":         {reason: "the chain had ended", leaf: expired, at: now.Add(-hour / 2), want: evidence.TimestampInvalid},
		"BeforeChain":        {reason: "the chain had not begun", leaf: fixture.CertificateOptions{NotBefore: now.Add(-hour)}, at: now.Add(-2 * hour), want: evidence.TimestampInvalid},
		"MaybeAfterChain":    {reason: "its accuracy reaches beyond the chain's end", leaf: expired, at: now.Add(-hour - time.Minute), accuracy: 2 * time.Minute, want: evidence.TimestampInvalid},
		"OtherAuthority":     {reason: "the authority is not in the store", leaf: fresh, at: now.Add(-2 * hour), other: true, want: evidence.TimestampInvalid},
		"None":               {reason: "a store of type tsa asks for a timestamp always", leaf: fresh, want: evidence.TimestampMissing},
		"NoneButNotExpired":  {reason: "afterCertExpiry asks once the chain has ended", leaf: fresh, option: "afterCertExpiry", want: ""},
		"NoneAndExpired":     {reason: "afterCertExpiry asks now", leaf: expired, option: "afterCertExpiry", want: evidence.TimestampMissing},
		"StampedAndExpired":  {reason: "the timestamp outlives the chain", leaf: expired, at: now.Add(-2 * hour), option: "afterCertExpiry", want: ""},
	} {
		for formatName, format := range formats {
			t.Run(formatName+"/"+name, func(t *testing.T) {
				p := newPKI(t, tc.leaf)
				authority := newTSA(t, tc.at, fixture.CertificateOptions{NotBefore: now.Add(-99 * hour)})
				if tc.accuracy != 0 {
					authority.accuracy = tc.accuracy
				}
				sign := fixture.NotationOptions{Format: format, SigningTime: p.leaf.Certificate().NotBefore.Add(time.Minute)}
				if !tc.at.IsZero() {
					sign = authority.stamp(sign)
				}
				o := p.options()
				trusted := authority.store(notation.TSA)
				if tc.other {
					trusted = newTSA(t, tc.at, fixture.CertificateOptions{}).store(notation.TSA)
				}
				o.TrustStores = append(o.TrustStores, trusted)
				o.VerifyTimestamp = tc.option
				proof, err := newSigner(t, o).Verify(t.Context(), image("content"), item(t, image("content"), p.leaf, sign))
				if got := reason(err); got != tc.want {
					t.Fatalf("%s: want %q, got %q: %v", tc.reason, tc.want, got, err)
				}
				if err == nil && !tc.at.IsZero() && !proof.Expires.IsZero() {
					t.Errorf("want a proven time not to be shortened by the chain (R35), got %s", proof.Expires)
				}
			})
		}
	}
}

func TestTimestampAuthorityRevocation(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPKI(t, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)})
	authority := newTSA(t, now.Add(-2*hour), fixture.CertificateOptions{NotBefore: now.Add(-99 * hour), OCSP: []string{"http://ocsp.invalid/"}})
	it := item(t, image("content"), p.leaf, authority.stamp(fixture.NotationOptions{SigningTime: now.Add(-3 * hour)}))
	for name, tc := range map[string]struct {
		reason     string
		revocation notation.Revocation
		level      string
		want       evidence.Reason
	}{
		"Good":               {reason: "it is not revoked", revocation: onlyTSA{status: notation.Good}, want: ""},
		"Revoked":            {reason: "it is", revocation: onlyTSA{status: notation.Revoked}, want: evidence.CertificateRevoked},
		"RevokedPermissive":  {reason: "known revocation counts where it is only logged", revocation: onlyTSA{status: notation.Revoked}, level: notation.Permissive, want: evidence.CertificateRevoked},
		"Unknown":            {reason: "it could not be told, so that nothing is decided", revocation: notation.Offline{}, want: evidence.RevocationUnknown},
		"UnknownPermissive":  {reason: "which is only logged", revocation: notation.Offline{}, level: notation.Permissive, want: ""},
		"UnknownByZeroValue": {reason: "an Online that was not made knows nothing", revocation: &notation.Online{}, want: evidence.RevocationUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			o := p.options()
			o.TrustStores = append(o.TrustStores, authority.store(notation.TSA))
			o.Revocation, o.Level = tc.revocation, tc.level
			if _, err := newSigner(t, o).Verify(t.Context(), image("content"), it); reason(err) != tc.want {
				t.Errorf("%s: want %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

// onlyTSA answers about the timestamp authority's leaf; all else is good.
type onlyTSA struct{ status notation.Status }

func (onlyTSA) ID() string { return "only-tsa" }

func (o onlyTSA) Check(_ context.Context, chain notation.Chain) notation.Answer {
	var a notation.Answer
	for range chain.Certificates {
		a.Statuses = append(a.Statuses, notation.Good)
	}
	if chain.Timestamping {
		a.Statuses[0] = o.status
	}
	return a
}

func TestSigningAuthority(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPKI(t, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour), NotAfter: now.Add(-hour)})
	o := p.options()
	o.TrustStores[0].Type = notation.SigningAuthority
	signed := &answers{leaf: notation.Good}
	o.Revocation = signed
	s := newSigner(t, o)
	scheme := fixture.NotationOptions{Scheme: signature.SigningSchemeX509SigningAuthority, SigningTime: now.Add(-3 * hour)}
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			scheme.Format = format
			it := item(t, image("content"), p.leaf, scheme)
			proof := verified(t, s, image("content"), it, "")
			if !proof.Expires.IsZero() {
				t.Errorf("want a time that the authority vouches for not to be shortened by the chain (R35), got %s", proof.Expires)
			}
			if at := signed.chains[len(signed.chains)-1].SigningTime; !at.Equal(now.Add(-3 * hour)) {
				t.Errorf("want the signing time handed to revocation, got %s", at)
			}
			ca := p.options()
			verified(t, newSigner(t, ca), image("content"), it, evidence.CertificateUntrusted)
		})
	}
}

// A token is not covered by the signature: whoever may push can replace it.
func TestHostileTimestampToken(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	p := newPKI(t, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)})
	authority := newTSA(t, now.Add(-2*hour), fixture.CertificateOptions{NotBefore: now.Add(-99 * hour)})
	o := p.options()
	o.TrustStores = append(o.TrustStores, authority.store(notation.TSA))
	s := newSigner(t, o)
	first := item(t, image("a"), p.leaf, authority.stamp(fixture.NotationOptions{SigningTime: now.Add(-3 * hour)}))
	for name, tc := range map[string]struct {
		reason string
		token  any
		want   evidence.Reason
	}{
		"Garbage": {reason: "it is no token", token: []byte("garbage"), want: evidence.TimestampInvalid},
		"Huge":    {reason: "it is not worth parsing", token: make([]byte, 1<<20), want: evidence.MalformedEvidence},
		"Nested":  {reason: "depth costs nothing", token: deep(200 << 10), want: evidence.TimestampInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			it := editJWS(t, first, func(j map[string]any) {
				header, ok := j["header"].(map[string]any)
				if !ok {
					t.Fatal(errors.New("no header"))
				}
				header["io.cncf.notary.timestampSignature"] = tc.token
			})
			if _, err := s.Verify(t.Context(), image("a"), it); reason(err) != tc.want {
				t.Errorf("%s: want %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
	t.Run("OfAnotherSignature", func(t *testing.T) {
		second := item(t, image("b"), p.leaf, authority.stamp(fixture.NotationOptions{SigningTime: now.Add(-3 * hour)}))
		var token any
		editJWS(t, second, func(j map[string]any) { token = j["header"].(map[string]any)["io.cncf.notary.timestampSignature"] })
		it := editJWS(t, first, func(j map[string]any) { j["header"].(map[string]any)["io.cncf.notary.timestampSignature"] = token })
		verified(t, s, image("a"), it, evidence.TimestampInvalid)
	})
}

// deep is BER with as many nested sequences of indefinite length as fit.
func deep(n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		b = append(b, 0x30, 0x80)
	}
	return b
}
