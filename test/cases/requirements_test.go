package cases_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// requirement is what images must show, in every language that can say it.
type requirement struct {
	allows []string // every other image is denied
	in     map[string]expression
}

func (w *world) requirements(t *testing.T) map[string]requirement {
	t.Helper()
	team := []string{"notation", "sbom", "sbom-gpl", "sbom-unsigned", "sbom-one-unsigned", "sbom-stranger"}
	return map[string]requirement{
		"Signed": {
			allows: []string{"signed", "bundle", "by-both", "by-all-three", "twice-by-one"},
			in: map[string]expression{
				"Native":        {text: w.native(`- signature: {anyOf: [release]}`, "release")},
				"Kyverno1.5":    {text: w.kyverno("", w.legacy(w.release, ""))},
				"Kyverno":       {text: w.kyverno("", w.present("", w.entry(w.release)))},
				"KyvernoOneOf":  {text: w.kyverno("", w.present("count: 1, ", w.entry(w.release)))},
				"NativeKMS":     {text: w.native(`- signature: {anyOf: [certified]}`, "sigstore: {key: {kms: '"+releaseKMS+"'}, transparencyLog: Ignored}")},
				"KyvernoKMS":    {text: w.kyverno("", w.present("", "{keys: {kms: '"+releaseKMS+"', rekor: {ignoreTlog: true}}}"))},
				"KyvernoURI":    {text: w.kyverno("", w.present("", "{keys: {publicKeys: '"+releaseKMS+"', rekor: {ignoreTlog: true}}}"))},
				"Kyverno1.5KMS": {text: w.kyverno("", fmt.Sprintf("        - image: \"%s/acme/*\"\n          key: %s\n", w.Host(), releaseKMS))},
			},
		},
		"SignedApart": {
			allows: []string{"apart"},
			in: map[string]expression{
				"Native":          {text: w.native(`- signature: {anyOf: [certified]}`, fmt.Sprintf("sigstore: {key: {pem: %q}, transparencyLog: Ignored, repository: \"%s/acme/signatures\"}", w.release.PublicPEM, w.Host()))},
				"Kyverno1.5":      {text: w.kyverno("", w.legacy(w.release, "")+w.repository("acme/signatures"))},
				"KyvernoEntry":    {text: w.kyverno("", w.present("", w.entry(w.release))+w.repository("acme/signatures"))},
				"KyvernoAttestor": {text: w.kyverno("", w.present("", strings.TrimSuffix(w.entry(w.release), "}")+fmt.Sprintf(", repository: \"%s/acme/signatures\"}", w.Host()))+w.repository("acme/others"))},
			},
		},
		"SignedByEither": {
			allows: []string{"signed", "bundle", "by-vendor", "by-both", "by-all-three", "twice-by-one"},
			in: map[string]expression{
				"Native":      {text: w.native(`- signature: {anyOf: [release, vendor]}`, "release", "vendor")},
				"Kyverno":     {text: w.kyverno("", w.present("count: 1, ", w.entry(w.release), w.entry(w.vendor)))},
				"KyvernoKeys": {text: w.kyverno("", w.present("count: 1, ", w.entry(w.release, w.vendor)))},
			},
		},
		"SignedByBoth": {
			allows: []string{"by-both", "by-all-three"},
			in: map[string]expression{
				"Native":        {text: w.native(`- signature: {allOf: [release, vendor]}`, "release", "vendor")},
				"Kyverno1.5":    {text: w.kyverno("", w.legacy(w.release, "")+w.legacy(w.vendor, ""))},
				"KyvernoAll":    {text: w.kyverno("", w.present("", w.entry(w.release), w.entry(w.vendor)))},
				"KyvernoSets":   {text: w.kyverno("", w.present("", w.entry(w.release))+"          - entries: ["+w.entry(w.vendor)+"]\n")},
				"KyvernoTwoOf2": {text: w.kyverno("", w.present("count: 2, ", w.entry(w.release), w.entry(w.vendor)))},
			},
		},
		// One signature fills one slot (TRUST R28): who signed twice is one.
		"SignedByTwoOfThree": {
			allows: []string{"by-both", "by-all-three"},
			in: map[string]expression{
				"Native":  {text: w.native(`- signature: {anyOf: [two]}`, "release", "vendor", "third", "two")},
				"Kyverno": {text: w.kyverno("", w.present("count: 2, ", w.entry(w.release), w.entry(w.vendor), w.entry(w.third)))},
			},
		},
		"SignedByTheTeam": {
			allows: team,
			in: map[string]expression{
				"Native":  {text: w.native(`- signature: {anyOf: [team]}`, "team")},
				"Nirmata": {text: w.nirmata(), name: "tp-shop"},
			},
		},
		"ProvenanceByTheBuilder": {
			allows: []string{"attested", "attested-bundle", "attested-and-forged"},
			in: map[string]expression{
				"Native": {text: w.native(`- attestation:
      type: slsaprovenance
      signedBy: {anyOf: [release]}
      quantifier: Every
      conditions: [{cel: "predicate.builder.id == '`+builder+`'"}]`, "release")},
				"NativeHelper": {text: w.native(`- attestation:
      type: https://slsa.dev/provenance/v0.2
      signedBy: {allOf: [release]}
      quantifier: Every
      conditions: [{cel: "provenance.builder(predicate) == '`+builder+`'"}]`, "release")},
				"Kyverno1.5": {text: w.kyverno("", w.legacy(w.release, "predicateType"))},
				"Kyverno": {text: w.kyverno("", fmt.Sprintf(`        - imageReferences: ["%s/acme/*"]
          failureAction: Enforce
          attestations:
          - type: https://slsa.dev/provenance/v0.2
            attestors: [{entries: [%s]}]
            conditions: %s
`, w.Host(), w.entry(w.release), conditions))},
			},
		},
		"NoCopyleft": {
			allows: []string{"sbom"},
			in: map[string]expression{
				"Native": {text: w.native(`- signature: {anyOf: [team]}
  - artifact:
      type: application/vnd.cyclonedx
      signedBy: {anyOf: [team]}
      quantifier: Every
      conditions: [{cel: "!sbom.licenses(predicate).exists(l, l in ['GPL-2.0', 'GPL-3.0'])"}]`, "team")},
				"Nirmata": {text: w.nirmata(), name: "tp-shop", extra: licences(t)},
			},
		},
	}
}

// native writes a native policy with the signers that are named, or written out
// for the name "certified".
func (w *world) native(require string, signers ...string) string {
	key := func(k fixture.Key) string {
		return fmt.Sprintf("sigstore: {key: {pem: %q}, transparencyLog: Ignored}", k.PublicPEM)
	}
	known := map[string]string{
		"release": key(w.release), "vendor": key(w.vendor), "third": key(w.third),
		"two":  "atLeast: {count: 2, of: [release, vendor, third]}",
		"team": fmt.Sprintf("notation: {trustStores: [{type: ca, certificates: {pem: %q}}], trustedIdentities: [\"*\"]}", w.authority.PEM()),
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: case}\nspec:\n  images: [\"%s/acme/**\"]\n  signers:\n", w.Host())
	for _, signer := range signers {
		if text, is := known[signer]; is {
			fmt.Fprintf(&b, "  - {name: %s, %s}\n", signer, text)
		} else {
			fmt.Fprintf(&b, "  - {name: certified, %s}\n", signer)
		}
	}
	return b.String() + "  require:\n  " + require + "\n"
}

// repository ends an entry whose signatures are in another one.
func (w *world) repository(name string) string {
	return fmt.Sprintf("          repository: \"%s/%s\"\n", w.Host(), name)
}

// conditions of Kyverno's language on the builder.
const conditions = `[{all: [{key: "{{ builder.id }}", operator: Equals, value: "` + builder + `"}]}]`

// kyverno writes a ClusterPolicy with one rule.
func (w *world) kyverno(context, entries string) string {
	return `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: case}
spec:
  validationFailureAction: Enforce
  rules:
    - name: verify
      match: {any: [{resources: {kinds: [Pod]}}]}
` + context + "      verifyImages:\n" + entries
}

// legacy is an entry in the form of v1.5, with provenance if the name of the
// field is given.
func (w *world) legacy(key fixture.Key, attestations string) string {
	entry := fmt.Sprintf("        - image: \"%s/acme/*\"\n          key: %q\n", w.Host(), key.PublicPEM)
	if attestations == "" {
		return entry
	}
	return entry + "          attestations: [{" + attestations + ": https://slsa.dev/provenance/v0.2, conditions: " + conditions + "}]\n"
}

// present is an entry in the present form, with one set of attestors.
func (w *world) present(count string, entries ...string) string {
	return fmt.Sprintf("        - imageReferences: [\"%s/acme/*\"]\n          attestors:\n          - {%sentries: [%s]}\n", w.Host(), count, strings.Join(entries, ", "))
}

// entry is an attestor with one key or several.
func (w *world) entry(keys ...fixture.Key) string {
	var pem strings.Builder
	for _, k := range keys {
		pem.Write(k.PublicPEM)
	}
	return fmt.Sprintf("{keys: {publicKeys: %q, rekor: {ignoreTlog: true}, ctlog: {ignoreSCT: true}}}", pem.String())
}

// nirmata is a trust policy that requests name tp-shop.
func (w *world) nirmata() string {
	return fmt.Sprintf(`apiVersion: notation.nirmata.io/v1alpha1
kind: TrustStore
metadata: {name: team}
spec: {trustStoreName: team, type: ca, caBundle: %q}
---
apiVersion: notation.nirmata.io/v1alpha1
kind: TrustPolicy
metadata: {name: shop}
spec:
  version: "1.0"
  trustPolicyName: tp-shop
  trustPolicies:
  - {name: all, registryScopes: ["*"], signatureVerification: {level: strict}, trustStores: ["ca:team"], trustedIdentities: ["*"]}
`, w.authority.PEM())
}
