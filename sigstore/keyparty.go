package sigstore

import (
	"slices"
	"strconv"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
)

// keyParty holds a private key of which we know the public half.
type keyParty struct {
	key                 publicKey
	notBefore, notAfter time.Time
}

// NewKey returns the signer with the public key in pem: exactly one block
// "PUBLIC KEY" or "RSA PUBLIC KEY" with an ECDSA key on P-256, P-384 or P-521,
// an RSA key of 2048 to 4096 bits, or an Ed25519 key.
func NewKey(pem []byte, o KeyOptions) (*Signer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	key, err := parsePublicKey(pem, o.Hash)
	if err != nil {
		return nil, err
	}
	party := keyParty{key: key, notBefore: o.NotBefore, notAfter: o.NotAfter}
	return newSigner(party, o.Options, party.material(o.TrustedRoot)), nil
}

// material lends the key to sigstore-go under any hint, beside the trusted root.
func (p keyParty) material(t *TrustedRoot) root.TrustedMaterial {
	material := root.TrustedMaterialCollection{root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return keyVerifier(p), nil
	})}
	if t != nil {
		material = append(material, t.root)
	}
	return material
}

func (p keyParty) identify(h *hasher) {
	h.add("key", string(p.key.spki), strconv.Itoa(len(p.key.hashes)))
	for _, hash := range p.key.hashes {
		h.add(hash.String())
	}
	h.add(instant(p.notBefore), instant(p.notAfter))
}

// shortFingerprint is enough of a fingerprint for people to compare.
const shortFingerprint = 12

// describe returns "key sha256:" and the beginning of the hash of the key's
// SubjectPublicKeyInfo.
func (p keyParty) describe() string {
	return "key sha256:" + p.key.fingerprint()[:shortFingerprint] + "…"
}

// holder returns the key: it decides, whatever certificate lies beside a legacy
// signature. A bundle with a certificate is one by its holder.
func (p keyParty) holder(c presented) (holder, error) {
	if c.bundled && c.leaf != nil {
		return holder{}, mismatchOf(p, c.got)
	}
	return holder{key: p.key}, nil
}

// judge compares the proven times with the key's own validity (TRUST R26;
// CVE-2026-54787).
func (p keyParty) judge(h holder, times proven) (verdict, error) {
	v := verdict{identity: keyIdentity(h.key), who: p.describe(), testimony: testimonyOf(nil, times)}
	proven := times.times()
	if len(proven) == 0 {
		if p.expires() {
			return verdict{}, &evidence.Problem{Reason: evidence.TimestampMissing, Expected: "a proven time for a key that is valid for a limited time", Got: "none"}
		}
		return v, nil
	}
	for _, t := range proven {
		if !keyVerifier(p).ValidAtTime(t) {
			return verdict{}, &evidence.Problem{
				Reason:   evidence.TimestampInvalid,
				Expected: "a time " + period(p.notBefore, p.notAfter) + ", when the key was valid",
				Got:      second(t),
			}
		}
	}
	v.made = slices.MinFunc(proven, time.Time.Compare)
	return v, nil
}

func (p keyParty) expires() bool { return !p.notBefore.IsZero() || !p.notAfter.IsZero() }

// keyIdentity is who has signed, where a key says it: the same for a bare key
// and for the key of a certificate that a policy names (TRUST R28).
func keyIdentity(k publicKey) string { return "key:" + k.fingerprint() }
