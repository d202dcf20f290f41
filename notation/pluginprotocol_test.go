package notation_test

import (
	"slices"
	"testing"

	framework "github.com/notaryproject/notation-plugin-framework-go/plugin"

	"github.com/bonafide-dev/bonafide/notation"
)

// FuzzPluginResponse: whatever a plugin prints, an answer is complete and says
// nothing that the plugin may not say.
func FuzzPluginResponse(f *testing.F) {
	for _, seed := range []string{
		`{"verificationResults":{"SIGNATURE_VERIFIER.TRUSTED_IDENTITY":{"success":true},"SIGNATURE_VERIFIER.REVOCATION_CHECK":{"success":false,"reason":"revoked"}},"processedAttributes":["a",1,null]}`,
		`{"verificationResults":{"SIGNATURE_VERIFIER.TRUSTED_IDENTITY":{"Success":true}}}`,
		`{"verificationResults":{"SIGNATURE_VERIFIER.TRUSTED_IDENTITY":null}}`,
		`{"verificationResults":[],"processedAttributes":{}}`,
		`{}`, `null`, ``, `{"verificationResults":{"":{}}}`, "\xff",
	} {
		f.Add([]byte(seed), true, true)
		f.Add([]byte(seed), true, false)
	}
	const identity, revocation = framework.CapabilityTrustedIdentityVerifier, framework.CapabilityRevocationCheckVerifier
	f.Fuzz(func(t *testing.T, data []byte, both, ask bool) {
		has := []framework.Capability{identity}
		if both {
			has = append(has, revocation)
		}
		asked := has
		if !ask {
			asked = has[:1]
		}
		said, err := notation.ReadPluginResponse(data, asked, has)
		if err != nil {
			if len(said) > 0 {
				t.Errorf("want nothing beside an error, got %v", said)
			}
			return
		}
		for _, c := range asked {
			if _, found := said[c]; !found {
				t.Errorf("want an answer about %s, got %v", c, said)
			}
		}
		for c := range said {
			if !slices.Contains(has, c) {
				t.Errorf("want answers about %v, got %v", has, said)
			}
		}
	})
}

// FuzzPluginMetadata: what is accepted is by the plugin's name and can verify.
func FuzzPluginMetadata(f *testing.F) {
	f.Add([]byte(`{"name":"acme","description":"d","version":"1.0.0","url":"u","supportedContractVersions":["1.0"],"capabilities":["SIGNATURE_VERIFIER.TRUSTED_IDENTITY"]}`))
	f.Add([]byte(`{"name":"acme","version":"1.0.0-a.1+b","supportedContractVersions":["1.0","2.0"],"capabilities":["SIGNATURE_VERIFIER.REVOCATION_CHECK","SIGNATURE_VERIFIER.REVOCATION_CHECK","X"]}`))
	f.Add([]byte(`{"Name":"acme"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		capabilities, err := notation.ReadPluginMetadata("acme", data)
		if (err == nil) != (len(capabilities) > 0) || len(capabilities) > 2 {
			t.Errorf("want one or two capabilities or an error, got %v and %v", capabilities, err)
		}
		if _, other := notation.ReadPluginMetadata("other", data); err == nil && other == nil {
			t.Error("want one name, got two")
		}
	})
}
