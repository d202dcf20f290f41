package testca

import (
	"errors"
	"maps"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// Cosign returns options that annotate the certificate and its chain to a
// simple signing. It is to be signed with the certificate's key.
func (c Certificate) Cosign(o fixture.CosignOptions) fixture.CosignOptions {
	o.Certificate, o.Chain = c.PEM, c.ChainPEM
	return o
}

// Attestation returns options that annotate the certificate and its chain to
// an attestation. It is to be signed with the certificate's key.
func (c Certificate) Attestation(o fixture.AttestationOptions) fixture.AttestationOptions {
	o.Certificate, o.Chain = c.PEM, c.ChainPEM
	return o
}

// Bundle returns options that put the certificate into a bundle, with its
// intermediates before version 0.3. It is to be signed with the certificate's
// key.
func (c Certificate) Bundle(o fixture.BundleOptions) fixture.BundleOptions {
	o.Certificates = [][]byte{c.DER}
	// A bundle leaves out the root (sigstore_bundle.proto, x509_certificate_chain).
	for i := range max(len(c.Chain)-1, 0) {
		o.Certificates = append(o.Certificates, c.Chain[i].Raw)
	}
	return o
}

// Testify returns a function for [fixture.CosignOptions] and
// [fixture.AttestationOptions] that annotates what several annotate.
func Testify(each ...func(fixture.Signed) (map[string]string, error)) func(fixture.Signed) (map[string]string, error) {
	return func(signed fixture.Signed) (map[string]string, error) {
		all := map[string]string{}
		var failed []error
		for _, annotate := range each {
			annotations, err := annotate(signed)
			failed = append(failed, err)
			maps.Copy(all, annotations)
		}
		return all, errors.Join(failed...)
	}
}
