package cases_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// loadAttestor compiles a ClusterPolicy with one attestor by real signers.
func loadAttestor(signers policyset.Signers, attestor string) ([]policy.Policy, error) {
	documents, err := dialect.Parse("policy.yaml", []byte(`apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: case}
spec:
  validationFailureAction: Enforce
  rules:
    - name: verify
      match: {any: [{resources: {kinds: [Pod]}}]}
      verifyImages:
        - imageReferences: ['*']
          attestors: [{entries: [`+attestor+`]}]
`))
	if err != nil {
		return nil, err
	}
	policies, _, err := dialect.Loader{Dialects: []dialect.Dialect{kyverno.New(signers, kyverno.Options{})}}.Load(documents)
	return policies, err
}

// TestAttestorsOfKyverno: what the signers refuse is said of the field that is to
// blame, in Kyverno's words.
func TestAttestorsOfKyverno(t *testing.T) {
	s, logAlone := testca.New(t, testca.Options{Whole: true}), testca.New(t, testca.Options{})
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		t.Fatal(err)
	}
	leaf := s.Issue(t, testca.CertificateOptions{})
	const workflow = "issuer: https://token.actions.githubusercontent.com, subject: https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
	identity := func(fields string) string { return "{keyless: {" + fields + "}}" }
	keyed := func(fields string) string { return fmt.Sprintf("{keys: {publicKeys: %q%s}}", key.PublicPEM, fields) }
	roots := fmt.Sprintf(", roots: %q", s.FulcioChain())
	log, ctLog := fmt.Sprintf(", rekor: {pubkey: %q}", s.LogKey()), fmt.Sprintf(", ctlog: {pubkey: %q}", s.CTLogKey())
	stamps := fmt.Sprintf(", rekor: {ignoreTlog: true}, ctlog: {ignoreSCT: true, tsaCertChain: %q}", s.TimestampChain())
	cases := map[string]struct {
		reason, attestor string
		root             *testca.Sigstore // the operator's; nil: none
		want             []string         // fields of the attestor; nil: none
	}{
		"Keyless":              {"the operator has all", identity(workflow), s, nil},
		"R25KeylessNoRoot":     {"nobody is trusted", identity(workflow), nil, []string{"keyless"}},
		"R25KeylessLogAlone":   {"no authority is", identity(workflow), logAlone, []string{"keyless"}},
		"KeylessOwnRoots":      {"the rest is the operator's", identity(workflow + roots), s, nil},
		"R25KeylessOwnRoots":   {"there is no rest", identity(workflow + roots), nil, []string{"keyless"}},
		"R27KeylessNoCTLog":    {"nobody promised", identity(workflow + roots), logAlone, []string{"keyless.ctlog"}},
		"KeylessAllParts":      {"the policy has all", identity(workflow + roots + log + ctLog), nil, nil},
		"KeylessStamps":        {"an authority tells the time", identity(workflow + roots + stamps), nil, nil},
		"R25KeylessUnlogged":   {"nobody tells the time", identity(workflow + roots + ", rekor: {ignoreTlog: true}, ctlog: {ignoreSCT: true}"), logAlone, []string{"keyless.rekor"}},
		"Roots":                {"no certificate", identity(workflow + ", roots: nonsense"), s, []string{"keyless.roots"}},
		"RootsALeaf":           {"no authority", identity(fmt.Sprintf("%s, roots: %q", workflow, leaf.PEM)), s, []string{"keyless.roots"}},
		"RootsAKey":            {"no certificate", identity(fmt.Sprintf("%s, roots: %q", workflow, key.PublicPEM)), s, []string{"keyless.roots"}},
		"RekorACertificate":    {"no key", identity(fmt.Sprintf("%s, rekor: {pubkey: %q}", workflow, leaf.PEM)), s, []string{"keyless.rekor.pubkey"}},
		"CTLogACertificate":    {"no key", identity(fmt.Sprintf("%s, ctlog: {pubkey: %q}", workflow, leaf.PEM)), s, []string{"keyless.ctlog.pubkey"}},
		"StampsAKey":           {"no certificate", identity(fmt.Sprintf("%s, ctlog: {tsaCertChain: %q}", workflow, key.PublicPEM)), s, []string{"keyless.ctlog.tsaCertChain"}},
		"R14EverybodyOfGitHub": {"whoever has an account", identity("issuer: https://token.actions.githubusercontent.com, subject: 'https://github.com/*'"), s, []string{"keyless.subject"}},
		"R14Everybody":         {"in whatever way", identity("issuer: a, subjectRegExp: '[a-z]+'"), s, []string{"keyless.subjectRegExp"}},
		"R14EveryIssuer":       {"whoever vouches", identity("issuer: 'https://*', subject: dev@acme.test"), s, []string{"keyless.issuer"}},
		"R14Organization":      {"not everybody", identity("issuer: https://token.actions.githubusercontent.com, subject: 'https://github.com/acme/*'"), s, nil},
		"BadExpression":        {"no regular expression", identity("issuer: a, subjectRegExp: '('"), s, []string{"keyless.subjectRegExp"}},
		"LongWildcard":         {"bounded", identity("issuer: a, subject: '" + strings.Repeat("a*", 600) + "'"), s, []string{"keyless.subject"}},
		"Key":                  {"the operator's log", keyed(""), s, nil},
		"R25KeyNoRoot":         {"no log", keyed(""), nil, []string{"keys.rekor"}},
		"KeyOwnLog":            {"the policy's log", keyed(log), nil, nil},
		"KeyOwnStamps":         {"the policy's authority", keyed(stamps), nil, nil},
		"KeyRekorNonsense":     {"no key", keyed(", rekor: {pubkey: nonsense}"), s, []string{"keys.rekor.pubkey"}},
		"KMSUnknown":           {"nobody has it", "{keys: {kms: 'gcpkms://other'}}", s, []string{"keys.kms"}},
		"KMSAsPublicKeys":      {"nobody has it", "{keys: {publicKeys: 'gcpkms://other'}}", s, []string{"keys.publicKeys"}},
		"Certificate":          {"the operator's log", fmt.Sprintf("{certificates: {cert: %q}}", leaf.PEM), s, nil},
		"R25CertificateNoRoot": {"no log", fmt.Sprintf("{certificates: {cert: %q}}", leaf.PEM), nil, []string{"certificates.rekor"}},
		"CertificateOfOthers":  {"another authority's", fmt.Sprintf("{certificates: {cert: %q, certChain: %q, ctlog: {ignoreSCT: true}}}", leaf.PEM, testca.New(t, testca.Options{}).FulcioChain()), s, []string{"certificates.certChain"}},
		"CertificateAKey":      {"no certificate", fmt.Sprintf("{certificates: {cert: %q}}", key.PublicPEM), s, []string{"certificates.cert"}},
		"Repository":           {"no name", "{keyless: {" + workflow + "}, repository: 'UPPER CASE'}", s, []string{"repository"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var root *sigstore.TrustedRoot
			if c.root != nil {
				if root, err = sigstore.NewTrustedRoot(c.root.TrustedRoot()); err != nil {
					t.Fatal(err)
				}
			}
			signers := policyset.NewSigners(root)
			signers.Material = services{}
			_, err := loadAttestor(signers, c.attestor)
			var got []string
			for _, e := range dialect.ErrorsOf(err, "policy.yaml") {
				got = append(got, strings.TrimPrefix(e.Path, "spec.rules[0].verifyImages[0].attestors[0].entries[0]."))
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%v", c.reason, diff, err)
			}
		})
	}
}
