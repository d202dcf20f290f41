package nirmata

import (
	"errors"

	"github.com/bonafide-dev/bonafide/dialect"
)

// The types of trust stores. The kind was made before "tsa".
const (
	storeCA               = "ca"
	storeSigningAuthority = "signingAuthority"
)

func decodeStore(d dialect.Document) (trustStoreSpec, error) {
	var s trustStoreDocument
	err := d.Decode(&s)
	return s.Spec, err
}

// storeKey is how statements name a store (trust-store-trust-policy.md, "Trust
// Policy Properties").
func storeKey(s trustStoreSpec) string { return s.Type + ":" + s.TrustStoreName }

// trustStore checks a TrustStore, whether a statement names it or not.
func (r *reader) trustStore() {
	var s trustStoreDocument
	if !r.decode(&s) {
		return
	}
	r.name("spec.trustStoreName", s.Spec.TrustStoreName)
	r.choice("spec.type", s.Spec.Type, storeCA, storeSigningAuthority)
	if other, found := r.stores[storeKey(s.Spec)]; found && other.Name != r.Document.Name {
		r.Errorf("spec.trustStoreName", "expected each trust store once, got %q again: it is in %s", dialect.Clip(storeKey(s.Spec)), other.Place())
	}
	if len(r.Errors) > 0 {
		return
	}
	// Whether the verifier takes these certificates, it says best itself.
	_, err := r.signers.Notation(dialect.NotationSpec{
		TrustStores: []dialect.TrustStore{{Type: s.Spec.Type, Certificates: []byte(s.Spec.CABundle)}}, TrustedIdentities: []string{anyIdentity}, Level: levelStrict,
	})
	if err != nil {
		r.Errorf("spec.caBundle", "%w", err)
	}
}

var errNoStore = errors.New("no such trust store")

// store returns the certificates of a store that a statement names.
func (r *reader) store(key string) (dialect.TrustStore, error) {
	document, found := r.stores[key]
	if !found {
		return dialect.TrustStore{}, errNoStore
	}
	s, err := decodeStore(document)
	if err != nil {
		return dialect.TrustStore{}, err
	}
	return dialect.TrustStore{Type: s.Type, Certificates: []byte(s.CABundle)}, nil
}
