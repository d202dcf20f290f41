package sigstore

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/bonafide-dev/bonafide/evidence"
)

// keylessParty is whom a certificate of the trusted root's authorities names.
type keylessParty struct {
	identity Identity
	ctLog    Log
	log      Log // what the options ask of it, for messages
	root     *TrustedRoot
}

// KeylessOptions say what a signature with a short-lived certificate must bring
// along. The zero KeylessOptions are strict; they need a TrustedRoot.
type KeylessOptions struct {
	Options
	// CTLog asks for a promise by a certificate transparency log of the trusted
	// root, embedded in the certificate (TRUST R27). To ignore it is a weakening.
	CTLog Log
}

// NewKeyless returns the signer with an identity. A signature needs a
// certificate by an authority of the trusted root that was valid at each time
// that a log or a timestamp proves, and there must be one; with the transparency
// log ignored it must be a timestamp (TRUST R25).
func NewKeyless(identity Identity, o KeylessOptions) (*Signer, error) {
	if err := identity.check(); err != nil {
		return nil, err
	}
	if o.TrustedRoot == nil {
		return nil, errors.New("trusted root: expected one with a certificate authority, got none")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	switch r := o.TrustedRoot.root; {
	case len(r.FulcioCertificateAuthorities()) == 0:
		return nil, errors.New("trusted root: expected one with a certificate authority, got one without")
	case o.CTLog != LogRequired && o.CTLog != LogIgnored:
		return nil, fmt.Errorf("certificate transparency log: expected required or ignored, got %d", o.CTLog)
	case o.CTLog == LogRequired && len(r.CTLogs()) == 0:
		return nil, errors.New("certificate transparency log: expected a trusted root with one, got one without")
	case o.TransparencyLog == LogIgnored && len(r.TimestampingAuthorities()) == 0:
		return nil, errors.New("transparency log: expected a trusted root with a timestamp authority where the log is ignored, got one without")
	}
	identity.Extensions = maps.Clone(identity.Extensions)
	return newSigner(keylessParty{identity: identity, ctLog: o.CTLog, log: o.TransparencyLog, root: o.TrustedRoot}, o.Options, o.TrustedRoot.root), nil
}

func (p keylessParty) identify(h *hasher) {
	h.add("keyless", strconv.Itoa(int(p.ctLog)))
	p.identity.identify(h)
}

func (p keylessParty) describe() string { return p.identity.describe() }

// holder returns the key of the certificate that came.
func (p keylessParty) holder(c presented) (holder, error) { return c.certified(p) }

// judge decides whether the certificate is trusted and names the identity. What
// it names is compared last, when it is known to be true: the message may tell
// it.
func (p keylessParty) judge(h holder, times proven) (verdict, error) {
	proven := times.times()
	if len(proven) == 0 {
		return verdict{}, h.timeless(p.log, "a short-lived certificate")
	}
	// crypto/x509 takes a certificate without any extended key usage for one of
	// every use. Fulcio's have this one.
	if !slices.Contains(h.certificate.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) {
		return verdict{}, h.claiming(badCertificate("extended key usage codeSigning", "one without", nil))
	}
	chains, err := chainsAt(authoritiesOf(p.root), h, moments{times: proven})
	if err != nil {
		return verdict{}, err
	}
	if p.ctLog == LogRequired {
		if err := verify.VerifySignedCertificateTimestamp(chains, 1, p.root.root); err != nil {
			return verdict{}, h.claiming(&evidence.Problem{Reason: evidence.CertificateUntrusted, Expected: "a certificate that a certificate transparency log of the trusted root promised to hold", Err: err})
		}
	}
	f, err := factsOf(h.certificate)
	if err != nil {
		return verdict{}, err
	}
	if err := p.identity.compare(f); err != nil {
		return verdict{}, err
	}
	id := newHasher()
	id.add(f.issuer, f.identity)
	return verdict{
		identity: "keyless:" + id.sum(), who: quote(f.identity) + " by issuer " + quote(f.issuer),
		made: slices.MinFunc(proven, time.Time.Compare), testimony: testimonyOf(describeCertificate(h.certificate, f), times),
	}, nil
}
