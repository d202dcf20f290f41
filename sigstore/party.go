package sigstore

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	// maxChain bounds the certificates beside a signature's own (TRUST R1). Real
	// chains have one or two.
	maxChain = 8
	// maxCertificate bounds a certificate's DER. With all of Fulcio's extensions
	// it has some 2 KiB.
	maxCertificate = 32 << 10
)

// presented is what came along with a signature to say whose it is. Nothing of it
// is verified.
type presented struct {
	leaf  []byte   // the certificate in DER; nil if none came
	chain [][]byte // further ones in DER, in any order
	got   string   // who seems to have signed, for messages
	hint  string   // which key a bundle names in a certificate's place, for messages
	err   error    // why certificates that came do not parse
	// bundled says that they came in a bundle, which names a certificate or a key,
	// not both.
	bundled bool
}

// holder is with whose key a signature must verify.
type holder struct {
	key         publicKey
	certificate *x509.Certificate   // nil for a bare key
	chain       []*x509.Certificate // that came along, and are trusted by nobody yet
	claim       string              // who seems to have signed, for messages; empty if it is known
}

// proven is what proves when a signature was made.
type proven struct {
	entries []policy.LogFacts
	stamped []time.Time
}

// times returns all times that are proven.
func (p proven) times() []time.Time {
	times := slices.Clone(p.stamped)
	for _, e := range p.entries {
		if !e.Time.IsZero() {
			times = append(times, e.Time)
		}
	}
	return times
}

// timeless is the problem of a signature with a certificate when nothing proves
// when it was made.
func (h holder) timeless(l Log, certificate string) error {
	expected := "a log's or authority's word on when a signature with " + certificate + " was made"
	if l == LogIgnored {
		expected = "a timestamp of a signature with " + certificate + ", as the transparency log is ignored"
	}
	return h.claiming(&evidence.Problem{Reason: evidence.TimestampMissing, Expected: expected, Got: "none"})
}

// verdict is what was found to be signed, by whom and when.
type verdict struct {
	identity, who string
	key           string    // fingerprint of the one that verifies
	made          time.Time // if something proves when
	expires       time.Time // if it was judged as of now
	testimony     policy.Testimony

	reference     string // that was signed, if the format records one
	statement     []byte // of an attestation
	predicateType string // of statement
}

// annotated is what came in a legacy layer's annotations. An empty annotation
// is as good as none: Tekton Chains writes both always.
func annotated(annotations map[string]string) presented {
	c := presented{got: bySimple(annotations)}
	if text := annotations[annotationCertificate]; text != "" {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" {
			c.leaf, c.err = []byte{}, malformed("a certificate in annotation "+annotationCertificate, nil)
			return c
		}
		c.leaf = block.Bytes
		c.chain, c.err = pemChain(rest, nil)
	}
	if text := annotations[annotationChain]; text != "" && c.err == nil {
		c.chain, c.err = pemChain([]byte(text), c.chain)
	}
	return c
}

// pemChain adds the certificates in text to those that came.
func pemChain(text []byte, chain [][]byte) ([][]byte, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return chain, nil
		}
		if block.Type != "CERTIFICATE" {
			return nil, malformed("a chain of certificates, got a block of type "+quote(block.Type), nil)
		}
		if len(chain) == maxChain {
			return nil, tooMany("certificates in a chain", maxChain, len(chain)+1)
		}
		chain = append(chain, block.Bytes)
	}
}

// certified reads the certificate that came and returns the holder of its key.
func (c presented) certified(p party) (holder, error) {
	if c.leaf == nil {
		return holder{}, mismatchOf(p, "a signature without a certificate"+c.hint)
	}
	if c.err != nil {
		return holder{}, c.err
	}
	if len(c.chain) > maxChain {
		return holder{}, tooMany("certificates in a chain", maxChain, len(c.chain))
	}
	leaf, err := parseCertificate(c.leaf)
	if err != nil {
		return holder{}, err
	}
	key, err := newPublicKey(leaf.PublicKey, 0)
	if err != nil {
		return holder{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a certificate with a key of a kind that is accepted", Err: err}
	}
	h := holder{key: key, certificate: leaf, claim: byCertificate(leaf)}
	for _, der := range c.chain {
		certificate, err := parseCertificate(der)
		if err != nil {
			return holder{}, err
		}
		if err := checkKeys(certificate); err != nil {
			return holder{}, &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a chain with keys of kinds that are accepted", Err: err}
		}
		h.chain = append(h.chain, certificate)
	}
	return h, nil
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, tooMany("bytes of a certificate", maxCertificate, len(der))
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, malformed("a certificate", err)
	}
	return certificate, nil
}
