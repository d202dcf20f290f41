package kyverno

import (
	"bytes"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxMaterialBytes bounds keys or certificates.
const maxMaterialBytes = 1 << 20

// keyEntry is a Secret's entry with the key, as `cosign generate-key-pair
// k8s://` names it.
const keyEntry = "cosign.pub"

func (s *signing) keys(path string, e *attestor, annotations map[string]string) []policy.Signature {
	k := e.Keys
	path += ".keys"
	keys, found := s.publicKeys(path, k)
	spec := dialect.KeySpec{SigstoreSpec: dialect.SigstoreSpec{LogIgnored: s.log(path, k)}, Hash: s.hash(path, e)}
	for name, value := range annotations {
		text, ok := s.text(path, value, s.variables)
		if !ok {
			return nil
		}
		if spec.Annotations == nil {
			spec.Annotations = map[string]string{}
		}
		spec.Annotations[name] = text
	}
	if !found {
		return nil
	}
	return s.signers(keys, spec, path)
}

// publicKey is a PEM block and the path of the field that it came from.
type publicKey struct {
	pem  []byte
	path string
}

func (s *signing) signers(keys []publicKey, spec dialect.KeySpec, path string) []policy.Signature {
	var signers []policy.Signature
	for _, key := range keys {
		if s.left--; s.left < 0 {
			return nil
		}
		spec.PEM = key.pem
		made, err := s.key(spec)
		if err != nil {
			s.Refused(err, map[string]string{
				dialect.FieldKey: key.path, dialect.FieldHash: path + ".signatureAlgorithm",
				dialect.FieldTransparencyLog: path + ".rekor", dialect.FieldAnnotations: path,
			}, key.path)
			continue
		}
		signers = append(signers, policy.Signature{Signer: made, Where: ".keys"})
	}
	return signers
}

// key makes a signer. sha256 is what the CRD writes where nobody says more, also
// beside an Ed25519 key, which brings its own.
func (s *signing) key(spec dialect.KeySpec) (policy.Signer, error) {
	made, err := s.compiler.signers.Key(spec)
	var wrong *dialect.SpecError
	if spec.Hash == defaultHash && errors.As(err, &wrong) && wrong.Field == dialect.FieldHash {
		spec.Hash = ""
		return s.compiler.signers.Key(spec)
	}
	return made, err
}

// log says whether the transparency log is ignored.
func (s *signing) log(path string, k *keys) bool {
	switch r := k.Rekor; {
	case r == nil:
		return false
	case r.IgnoreTlog:
		s.Weaker(path+".rekor.ignoreTlog", "true accepts signatures that no transparency log has seen: use of a stolen key leaves no trace")
		return true
	case r.PubKey != "":
		s.refuse(path+".rekor.pubkey", "the keys of logs come from the trusted root that the operator names")
	case r.URL != "":
		s.Note(path+".rekor.url", "not contacted: entries come with signatures and are verified by the trusted root")
	}
	return false
}

// defaultHash is the CRD's default of signatureAlgorithm.
const defaultHash = "sha256"

// hash returns the attestor's algorithm; that of the keys comes first.
func (s *signing) hash(path string, e *attestor) string {
	word := e.Keys.SignatureAlgorithm
	path += ".signatureAlgorithm"
	if word == "" {
		word, path = e.SignatureAlgorithm, strings.TrimSuffix(path, ".keys.signatureAlgorithm")+".signatureAlgorithm"
	}
	allowed := []string{defaultHash, "sha384", "sha512"}
	if i := s.choice(path, word, allowed...); i >= 0 {
		return allowed[i]
	}
	return ""
}

// publicKeys returns an attestor's keys, each block on its own.
func (s *signing) publicKeys(path string, k *keys) ([]publicKey, bool) {
	one := s.ExactlyOne(path, dialect.Given("publicKeys", k.PublicKeys != ""), dialect.Given("secret", k.Secret != nil), dialect.Given("kms", k.KMS.set))
	switch {
	case !one || k.KMS.set: // refused already
		return nil, false
	case k.Secret != nil:
		return s.secretKey(path+".secret", k.Secret.Namespace, k.Secret.Name)
	}
	return s.inlineKeys(path+".publicKeys", k.PublicKeys)
}

// inlineKeys reads keys that are written in a field: PEM, or k8s://namespace/name.
func (s *signing) inlineKeys(path, text string) ([]publicKey, bool) {
	text, ok := s.text(path, text, s.variables)
	if !ok {
		return nil, false
	}
	if ref, is := strings.CutPrefix(strings.TrimSpace(text), "k8s://"); is {
		namespace, name, _ := strings.Cut(ref, "/")
		return s.secretKey(path, namespace, name)
	}
	if !strings.Contains(text, "-----BEGIN ") {
		s.refuse(path, "expected PEM or k8s://namespace/name: keys that a URL, a file or a key management service holds are not supported")
		return nil, false
	}
	return s.blocks(path, []byte(text))
}

func (s *signing) secretKey(path, namespace, name string) ([]publicKey, bool) {
	namespace, known := s.text(path, namespace, s.variables)
	name, alsoKnown := s.text(path, name, s.variables)
	switch {
	case !known || !alsoKnown:
		return nil, false
	case namespace == "" && s.namespaced:
		namespace = s.Document.Namespace
	case namespace == "":
		s.Missing(path, "expected a Secret with its namespace, got one without")
		return nil, false
	case s.namespaced && namespace != s.Document.Namespace:
		s.Errorf(path, "expected a Secret of %q: a %s names only Secrets of its own namespace; got one of %q", s.Document.Namespace, namespacedKind, dialect.Clip(namespace))
		return nil, false
	}
	object, found := s.object(path, "Secret", namespace, name)
	if !found {
		return nil, false
	}
	content, found := object.Data[keyEntry]
	if !found {
		s.Errorf(path, "expected an entry %q in Secret %q, got none", keyEntry, dialect.Clip(namespace+"/"+name))
		return nil, false
	}
	return s.blocks(path, content)
}

// blocks splits PEM into its blocks. Lines may be indented, as they are where
// YAML was pasted into a ConfigMap.
func (s *signing) blocks(path string, text []byte) ([]publicKey, bool) {
	if len(text) > maxMaterialBytes {
		s.Errorf(path, "expected at most %d bytes, got %d", maxMaterialBytes, len(text))
		return nil, false
	}
	rest := trimLines(text)
	var keys []publicKey
	for len(bytes.TrimSpace(rest)) > 0 {
		if len(keys) == maxLeaves {
			s.Errorf(path, "expected at most %d keys, got more", maxLeaves)
			return nil, false
		}
		block, after := pem.Decode(rest)
		if block == nil || !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("-----BEGIN ")) {
			// The signers say what is wrong with it.
			keys = append(keys, publicKey{rest, path})
			break
		}
		keys = append(keys, publicKey{pem.EncodeToMemory(block), path})
		rest = after
	}
	if len(keys) == 0 {
		s.Errorf(path, "expected a public key, got none")
	}
	return keys, len(keys) > 0
}

func trimLines(text []byte) []byte {
	var trimmed bytes.Buffer
	for line := range bytes.Lines(text) {
		trimmed.Write(bytes.TrimSpace(line))
		trimmed.WriteByte('\n')
	}
	return trimmed.Bytes()
}

// legacyKey reads the key of Kyverno 1.5, which knew no log (TRUST R25).
func (s *signing) legacyKey(path, text string) []policy.Signature {
	if text == "" {
		return nil
	}
	if s.kind == notaryType {
		s.Errorf(path, "expected none beside type Notary, which signs with certificates")
		return nil
	}
	s.Weaker(path, "this form never asked for a transparency log: use of a stolen key leaves no trace")
	keys, found := s.inlineKeys(path, text)
	if !found {
		return nil
	}
	return s.signers(keys, dialect.KeySpec{SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true, Annotations: s.annotations}}, path)
}
