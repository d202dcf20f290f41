package rig

import (
	"fmt"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// NewStore starts a registry in this process, whose requests a test can see and
// count, and closes it when tb ends. [StartRegistry] runs a real one.
func NewStore(tb testing.TB, o fixture.Options) *fixture.Registry {
	tb.Helper()
	store, err := fixture.NewRegistry(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(store.Close)
	return store
}

// NewKey returns a new P-256 key.
func NewKey(tb testing.TB) fixture.Key {
	tb.Helper()
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Push pushes an image whose content is its name, such as "acme/app:v1", and
// signs it with each key as cosign does.
func Push(tb testing.TB, store *fixture.Registry, name string, keys ...fixture.Key) fixture.Image {
	tb.Helper()
	image, err := store.PushImage(tb.Context(), name, name)
	if err != nil {
		tb.Fatal(err)
	}
	for _, key := range keys {
		if _, err := store.SignCosign(tb.Context(), image, key, fixture.CosignOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
	return image
}

// SignedPolicy is a policy that wants the key's signature on every image of a
// registry. More is put into its spec, as whole lines.
func SignedPolicy(host string, key []byte, more string) []byte {
	return fmt.Appendf(nil, `apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: release}
spec:
  images: ["%s/**"]
%s  signers:
  - name: release
    sigstore: {key: {pem: %q}, transparencyLog: Ignored}
  require:
  - signature: {anyOf: [release]}
`, host, more, key)
}
