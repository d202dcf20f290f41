package sigstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Key is a signer that holds a private key of which we know the public half.
// It implements [policy.Attestor] and is safe for concurrent use.
type Key struct {
	key      publicKey
	options  KeyOptions
	id       policy.SignerID
	material root.TrustedMaterial // the trusted root, and the key under any hint
}

// NewKey returns the signer with the public key in pem: exactly one block
// "PUBLIC KEY" or "RSA PUBLIC KEY" with an ECDSA key on P-256, P-384 or P-521,
// an RSA key of 2048 to 4096 bits, or an Ed25519 key.
func NewKey(pem []byte, o KeyOptions) (*Key, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	key, err := parsePublicKey(pem, o.Hash)
	if err != nil {
		return nil, err
	}
	o.Annotations = maps.Clone(o.Annotations)
	k := &Key{key: key, options: o}
	k.id = k.identify()
	material := root.TrustedMaterialCollection{root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return keyVerifier{key: key, notBefore: o.NotBefore, notAfter: o.NotAfter}, nil
	})}
	if o.TrustedRoot != nil {
		material = append(material, o.TrustedRoot.root)
	}
	k.material = material
	return k, nil
}

// idFormat changes whenever a verdict for the same material and options may.
const idFormat = "sigstore-key/1"

// identify hashes everything that a verdict depends on (TRUST R34). Each part
// is written with its length, so that no two lists of parts look alike.
func (k *Key) identify() policy.SignerID {
	h := sha256.New()
	add := func(parts ...string) {
		for _, p := range parts {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
			h.Write([]byte(p))
		}
	}
	o := k.options
	add(idFormat, string(k.key.spki), strconv.Itoa(len(k.key.hashes)))
	for _, hash := range k.key.hashes {
		add(hash.String())
	}
	add(strconv.Itoa(int(o.TransparencyLog)), o.TrustedRoot.Digest().String(), o.SignedReference.String())
	add(instant(o.NotBefore), instant(o.NotAfter), strconv.Itoa(len(o.Annotations)))
	for _, name := range slices.Sorted(maps.Keys(o.Annotations)) {
		add(name, o.Annotations[name])
	}
	return policy.SignerID("sigstore-key:" + hex.EncodeToString(h.Sum(nil)))
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// ID returns a hash of the key, the trusted root and all options.
func (k *Key) ID() policy.SignerID { return k.id }

// shortFingerprint is enough of a fingerprint for people to compare.
const shortFingerprint = 12

// Describe returns "key sha256:" and the beginning of the hash of the key's
// SubjectPublicKeyInfo.
func (k *Key) Describe() string {
	return "key sha256:" + k.key.fingerprint()[:shortFingerprint] + "…"
}

// Need returns cosign signatures and Sigstore bundles.
func (k *Key) Need() evidence.Need { return evidence.Need{SimpleSigning: true, Bundle: true} }

// PerRepository reports whether signatures must be for the image's repository.
func (k *Key) PerRepository() bool { return k.options.SignedReference == MatchRepository() }

// Verify decides whether item is a signature of the image by this key. The
// context is not used: nothing here waits. A panic of a parser, which hostile
// input may provoke, becomes an undecided problem (TRUST R48).
func (k *Key) Verify(_ context.Context, image evidence.Image, item evidence.Item) (policy.Proof, error) {
	return k.prove(item, func() (verdict, error) {
		if err := checkInput(image, item); err != nil {
			return verdict{}, err
		}
		switch item.Format {
		case evidence.SimpleSigning:
			return k.verifySimple(image, item)
		case evidence.Bundle:
			return k.verifyBundle(image, item, predicateSign)
		case evidence.Notation, evidence.Envelope, evidence.Artifact:
		}
		return verdict{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a cosign signature or Sigstore bundle", Got: described(item.Format)}
	})
}

// verdict is what was found to be signed.
type verdict struct {
	reference     string    // that was signed, if the format records one
	made          time.Time // if something proves when
	statement     []byte    // of an attestation
	predicateType string    // of statement
}

// prove makes a proof or a problem of what verify returns.
func (k *Key) prove(item evidence.Item, verify func() (verdict, error)) (proof policy.Proof, err error) {
	defer func() {
		if r := recover(); r != nil {
			proof, err = policy.Proof{}, &evidence.Problem{Reason: evidence.Internal, Path: source(item), Err: fmt.Errorf("panic while verifying: %v", r)}
		}
	}()
	v, err := verify()
	if err != nil {
		p := *evidence.ProblemOf(err)
		p.Path = source(item)
		return policy.Proof{}, &p
	}
	proof = policy.Proof{Identity: "key:" + k.key.fingerprint(), Who: k.Describe(), Source: source(item), Reference: v.reference, Time: v.made}
	if v.statement != nil {
		proof.Statement = policy.NewStatement(v.predicateType, v.statement)
	}
	return proof, nil
}

func checkInput(image evidence.Image, item evidence.Item) error {
	if image.Digest().IsZero() {
		return &evidence.Problem{Reason: evidence.Internal, Expected: "an image with a digest", Got: "none"}
	}
	if len(item.Payload) > evidence.MaxSignatureBytes {
		return tooMany("bytes", evidence.MaxSignatureBytes, len(item.Payload))
	}
	return nil
}

// source says where a signature is: "cosign signature sha256:…[0]".
func source(item evidence.Item) string {
	return fmt.Sprintf("%s %s[%d]", item.Format, item.Manifest, item.Layer)
}

// described is a format's name with its article.
func described(f evidence.Format) string {
	if f == evidence.Artifact {
		return "an " + f.String()
	}
	return "a " + f.String()
}

// mismatch is the problem of a signature that is not by the key.
func (k *Key) mismatch(got string) error {
	return &evidence.Problem{Reason: evidence.SignerMismatch, Expected: "a signature by " + k.Describe(), Got: got}
}

func malformed(what string, cause error) error {
	return &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: what, Err: cause}
}

func tooMany(what string, most, got int) error {
	return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d %s", most, what), Got: strconv.Itoa(got)}
}
