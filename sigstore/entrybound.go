package sigstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"regexp"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/tlog"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxEntryBody bounds the body of a log entry (TRUST R1). It holds hashes, a
// signature and a certificate: some 4 KiB.
const maxEntryBody = 64 << 10

// namedInBody are the members of an entry's body that name who signed, of all
// kinds that are read, and those that hold content, which entries of bundles
// never do.
type namedInBody struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Signature struct {
			PublicKey struct {
				Content []byte `json:"content"`
			} `json:"publicKey"`
		} `json:"signature"`
		Signatures []struct {
			Verifier []byte `json:"verifier"`
		} `json:"signatures"`
		ProposedContent any `json:"proposedContent"`
		Content         struct {
			Envelope struct {
				Payload    any `json:"payload"`
				Signatures []struct {
					PublicKey []byte `json:"publicKey"`
				} `json:"signatures"`
			} `json:"envelope"`
		} `json:"content"`
		HashedRekordV002 struct {
			Signature struct {
				Verifier struct {
					PublicKey struct {
						RawBytes []byte `json:"rawBytes"`
					} `json:"publicKey"`
					X509Certificate struct {
						RawBytes []byte `json:"rawBytes"`
					} `json:"x509Certificate"`
				} `json:"verifier"`
			} `json:"signature"`
		} `json:"hashedRekordV002"`
	} `json:"spec"`
}

// checkBodyIsHolders refuses an entry that names another key or certificate than
// the signature's, before Rekor's own code reads it: that code verifies with
// whatever key the entry names, of any size, and matches names of members whatever
// their case.
func checkBodyIsHolders(h holder, raw []byte) error {
	if n := len(raw); n > maxEntryBody {
		return tooMany("bytes of a log entry", maxEntryBody, n)
	}
	if err := evidence.CheckNamesAlike(raw); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	var b namedInBody
	if err := evidence.DecodeJSON(raw, &b); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	switch b.Kind + " " + b.APIVersion {
	case "hashedrekord 0.0.1":
		return h.checkLogged(b.Spec.Signature.PublicKey.Content)
	case "dsse 0.0.1":
		if b.Spec.ProposedContent != nil || len(b.Spec.Signatures) != 1 {
			return badEntry("an entry of one signature, without what it is of", "another", nil)
		}
		return h.checkLogged(b.Spec.Signatures[0].Verifier)
	case "intoto 0.0.2":
		e := b.Spec.Content.Envelope
		if e.Payload != nil || len(e.Signatures) != 1 {
			return badEntry("an entry of one signature, without what it is of", "another", nil)
		}
		return h.checkLogged(e.Signatures[0].PublicKey)
	case "hashedrekord 0.0.2":
		v := b.Spec.HashedRekordV002.Signature.Verifier
		return h.checkLoggedDER(v.PublicKey.RawBytes, v.X509Certificate.RawBytes)
	}
	return badEntry("an entry of kind hashedrekord, dsse or intoto, of a version that is known", quote(b.Kind+" "+b.APIVersion), nil)
}

// checkLoggedDER is checkLogged for entries of Rekor's version 2, which hold a
// key or a certificate in DER.
func (h holder) checkLoggedDER(key, certificate []byte) error {
	switch {
	case len(key) > 0 && len(certificate) > 0:
		return badEntry("an entry with a public key or a certificate", "one with both", nil)
	case len(certificate) > 0:
		if h.certificate == nil || !bytes.Equal(certificate, h.certificate.Raw) {
			return anotherEntry("certificate", nil)
		}
		return nil
	}
	if !bytes.Equal(key, h.key.spki) {
		return anotherEntry("key", nil)
	}
	return nil
}

// shardedOrigin is how checkpoints of Rekor's version 1 name their tree.
var shardedOrigin = regexp.MustCompile(`^.* - [0-9]+$`)

// checkVersion refuses an entry whose body is of one of Rekor's versions and its
// checkpoint of the other: the body would not be what the proof is of.
func checkVersion(entry *tlog.Entry) error {
	if !entry.HasInclusionProof() {
		return nil
	}
	checkpoint := entry.TransparencyLogEntry().GetInclusionProof().GetCheckpoint().GetEnvelope()
	origin, _, _ := strings.Cut(checkpoint, "\n")
	if first := shardedOrigin.MatchString(origin); first == entry.IsRekorV2() {
		return badEntry("an entry of the version of its checkpoint", "one of another version", nil)
	}
	return nil
}

// checkKeys refuses certificates with keys of a kind or size that is not
// accepted: a check with them takes time by the cube of their size.
func checkKeys(certificates ...*x509.Certificate) error {
	for _, c := range certificates {
		if err := checkKey(c.PublicKey); err != nil {
			return err
		}
	}
	return nil
}

func checkKey(key crypto.PublicKey) error {
	_, err := hashesOf(key)
	return err
}
