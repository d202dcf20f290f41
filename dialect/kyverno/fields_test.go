package kyverno_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/internal/dialecttest"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/policy"
)

const introduction = `# Kyverno policies

Bonafide reads ` + "`ClusterPolicy` and `Policy` of `kyverno.io/v1` and `kyverno.io/v2beta1`" + ` whose rules have
` + "`verifyImages`" + `: the form with ` + "`image` and `key`" + ` of Kyverno 1.5, and that with ` + "`imageReferences` and `attestors`" + `.

Each field is honoured, accepted with a note that ` + "`bonafide policy check`" + ` prints, without effect, or refused: a
policy that sets a refused field does not load, and the error names file, line and field. So does one with a field
that is not in these tables.

Where a policy names no log and no authority of its own Kyverno takes those of Sigstore's public instance. Bonafide
takes those of the trusted root that the operator names with ` + "`--trusted-root`" + `; without one such a policy is refused.
What a policy writes out (` + "`roots`, `rekor.pubkey`, `ctlog.pubkey`, `ctlog.tsaCertChain`" + `) replaces that part of it.

An identity that admits everybody whom an issuer vouches for, such as ` + "`subject: \"*\"`" + `, is refused. A policy that means
it carries the annotation ` + "`bonafide.dev/any-subject: \"true\"`" + `, which is reported as a weakening.

This page is generated from the code. To write it anew: ` + "`go test ./dialect/kyverno -update`" + `.
`

// TestFieldsAreDocumented compares docs/kyverno.md with the code.
func TestFieldsAreDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString(introduction)
	object := ""
	for _, f := range kyverno.Fields() {
		if f.Object != object {
			object = f.Object
			fmt.Fprintf(&b, "\n## %s\n\n| field | treatment | meaning |\n|---|---|---|\n", object)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.Treatment, strings.ReplaceAll(f.Text, "|", `\|`))
	}
	dialecttest.Golden(t, *update, filepath.Join("..", "..", "docs", "kyverno.md"), b.String())
}

// FuzzPolicies: whatever a document holds, it is refused with errors that name
// the file, or each policy of it requires something and covers some image.
func FuzzPolicies(f *testing.F) {
	f.Add(clusterPolicy("validationFailureAction: Enforce", entryOf(image)))
	f.Add(namespaced("emitWarning: true", ruleOf(pods+"\nexclude: {all: [{resources: {namespaces: [a, 'b*']}}]}", entryOf(image))))
	f.Add(clusterPolicy("validationFailureActionOverrides: [{action: audit, namespaces: [a]}]", entryOf("image: 'a*'\n  key: k8s://a/b")))
	f.Add(clusterPolicy("background: true", entryOf(image+"\n  attestations: [{type: a, conditions: [{all: [{key: '{{ a }}', operator: Equals, value: b}]}]}]")))
	f.Add(clusterPolicy("applyRules: One", entryOf(image+"\n  attestors: [{count: 2, entries: [{attestor: {entries: [{keyless: {}}]}}, {certificates: {cert: a}}]}]")))
	f.Add(ruled("", ruleOf(pods+"\ncontext: [{name: a, variable: {value: {b: c}}}, {name: d, configMap: {name: e}}]", entryOf("image: a\n  key: '{{ a.b }}'"))))
	f.Add(clusterPolicy("background: true", entryOf("image: a\n  issuer: b\n  subject: 'c*'\n  roots: d\n  additionalExtensions: {githubWorkflowRef: '?'}")))
	f.Add(keylessPolicy("issuerRegExp: '^a$', subject: '*', rekor: {pubkey: b}, ctlog: {ignoreSCT: true, tsaCertChain: c}, additionalExtensions: {oidcIssuer: '*'}"))
	f.Fuzz(func(t *testing.T, text string) {
		policies, err := compile(t, "f.yaml", text, fakeSigners{}, kyverno.Options{})
		if err != nil {
			var all dialect.Errors
			if !errors.As(err, &all) || len(all) == 0 || all[0].File == "" {
				t.Fatalf("expected errors that name the file, got %v", err)
			}
			return
		}
		for _, p := range policies {
			leaves := policy.LeavesOf(p.Require)
			if len(leaves.Signatures)+len(leaves.Attestations) == 0 || len(p.Include) == 0 || p.Match == nil {
				t.Errorf("policy %s requires nothing, or covers nothing: %+v", p.Origin, p)
			}
			for _, r := range []policy.Request{{}, {Kind: "Pod", Namespace: policy.Namespace{State: policy.NamespaceUnknown}}} {
				if applies, err := p.Match.Match(r); applies && err != nil {
					t.Errorf("policy %s applies, and in doubt: %v", p.Origin, err)
				}
			}
		}
	})
}
