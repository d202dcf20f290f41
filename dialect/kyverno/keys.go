package kyverno

import (
	"bytes"
	"encoding/pem"
	"errors"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxMaterialBytes bounds keys or certificates.
const maxMaterialBytes = 1 << 20

// keyEntry is a Secret's entry with the key, as `cosign generate-key-pair
// k8s://` names it.
const keyEntry = "cosign.pub"

func (s *signing) keys(of signers) []policy.Signature {
	path, k := of.path+".keys", of.Keys
	keys, found := s.publicKeys(path, k)
	c, ok := s.shared(of, path, k.Rekor, k.CTLog)
	spec := dialect.KeySpec{SigstoreSpec: c.SigstoreSpec, Hash: s.hash(path, of.attestor)}
	if !found || !ok {
		return nil
	}
	return s.signers(keys, spec, c, path)
}

// publicKey is a PEM block, or the URI of a key that a key management service
// holds, and the path of the field that it came from.
type publicKey struct {
	pem  []byte
	kms  string
	path string
}

func (s *signing) signers(keys []publicKey, spec dialect.KeySpec, c shared, path string) []policy.Signature {
	var signers []policy.Signature
	for _, key := range keys {
		if s.left--; s.left < 0 {
			return nil
		}
		spec.PEM, spec.KMS = key.pem, key.kms
		c.fields[dialect.FieldKey], c.fields[dialect.FieldKMS] = key.path, key.path
		c.fields[dialect.FieldHash] = path + ".signatureAlgorithm"
		made, err := s.key(spec)
		signers = append(signers, s.made(made, err, ".keys", c, key.path)...)
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

// defaultHash is the CRD's default of signatureAlgorithm.
const defaultHash = "sha256"

// hash returns the attestor's algorithm; that of the keys comes first.
func (s *signing) hash(path string, e *attestor) string {
	word := e.Keys.SignatureAlgorithm
	path += ".signatureAlgorithm"
	if word == "" {
		word, path = e.SignatureAlgorithm, strings.TrimSuffix(path, ".keys.signatureAlgorithm")+".signatureAlgorithm"
	}
	allowed := []string{defaultHash, "sha224", "sha384", "sha512"}
	if i := s.choice(path, word, allowed...); i >= 0 {
		return allowed[i]
	}
	return ""
}

// publicKeys returns an attestor's keys, each block on its own.
func (s *signing) publicKeys(path string, k *keys) ([]publicKey, bool) {
	one := s.ExactlyOne(path, dialect.Given("publicKeys", k.PublicKeys != ""), dialect.Given("secret", k.Secret != nil), dialect.Given("kms", k.KMS != ""))
	switch {
	case !one:
		return nil, false
	case k.Secret != nil:
		return s.secretKey(path+".secret", k.Secret.Namespace, k.Secret.Name)
	case k.KMS != "":
		uri, ok := s.text(path+".kms", k.KMS, s.variables)
		if !ok {
			return nil, false
		}
		return s.held(path+".kms", uri)
	}
	return s.inlineKeys(path+".publicKeys", k.PublicKeys)
}

// keyServices are the schemes of key management services.
func keyServices() []string { return []string{"awskms", "azurekms", "gcpkms", "hashivault"} }

// held returns the key that a key management service holds. A namespaced policy
// names none (TRUST R17).
func (s *signing) held(path, uri string) ([]publicKey, bool) {
	if s.namespaced {
		s.Errorf(path, "expected none: a %s names no key management service, but PEM or a Secret of its own namespace", namespacedKind)
		return nil, false
	}
	return []publicKey{{kms: uri, path: path}}, true
}

// inlineKeys reads keys that are written in a field: PEM, k8s://namespace/name,
// or the URI of a key that a key management service holds.
func (s *signing) inlineKeys(path, text string) ([]publicKey, bool) {
	text, ok := s.text(path, text, s.variables)
	if !ok {
		return nil, false
	}
	text = strings.TrimSpace(text)
	scheme, rest, _ := strings.Cut(text, "://")
	switch {
	case scheme == "k8s":
		namespace, name, _ := strings.Cut(rest, "/")
		return s.secretKey(path, namespace, name)
	case slices.Contains(keyServices(), scheme):
		return s.held(path, text)
	case !strings.Contains(text, "-----BEGIN "):
		s.refuse(path, "expected PEM, k8s://namespace/name or a key of "+dialect.Either(keyServices())+": keys that another URL or a file holds are not supported")
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
			s.Errorf(path, "expected at most %d PEM blocks, got more", maxLeaves)
			return nil, false
		}
		block, after := pem.Decode(rest)
		if block == nil || !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("-----BEGIN ")) {
			// The signers say what is wrong with it.
			keys = append(keys, publicKey{pem: rest, path: path})
			break
		}
		keys = append(keys, publicKey{pem: pem.EncodeToMemory(block), path: path})
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
