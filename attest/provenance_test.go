package attest_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
)

const (
	slsa01 = `{"builder":{"id":"https://example.com/builder"},"recipe":{"type":"https://example.com/recipe","definedInMaterial":1},
		"materials":[{"uri":"pkg:docker/alpine"},{"uri":"git+https://github.com/acme/app@refs/tags/v1","digest":{"sha1":"ab"}}]}`
	slsa02 = `{"builder":{"id":"https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.1.0"},
		"buildType":"https://github.com/slsa-framework/slsa-github-generator/container@v1",
		"invocation":{"configSource":{"uri":"git+https://github.com/acme/app@refs/heads/main","digest":{"sha1":"ab"},"entryPoint":".github/workflows/release.yml"}}}`
	slsa1 = `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1",
		"externalParameters":{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/acme/app","path":".github/workflows/release.yml"}}},
		"runDetails":{"builder":{"id":"https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"}}}`
	tekton = `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa",
		"externalParameters":{"buildConfigSource":{"ref":"main","repository":"git+https://github.com/acme/app.git","path":"p"}}},
		"runDetails":{"builder":{"id":"https://tekton.dev/chains/v2"}}}`
)

func TestProvenance(t *testing.T) {
	const fromApp = `provenance.source(predicate) == "https://github.com/acme/app"`
	cases := map[string]struct {
		reason     string
		predicate  string
		expression string
		want       string
	}{
		"V01":              {"SLSA v0.1", slsa01, `provenance.builder(predicate) == "https://example.com/builder" && provenance.buildType(predicate) == "https://example.com/recipe" && ` + fromApp, "holds"},
		"V02":              {"SLSA v0.2", slsa02, `provenance.builder(predicate).startsWith("https://github.com/slsa-framework/") && provenance.buildType(predicate).endsWith("container@v1") && ` + fromApp, "holds"},
		"V1":               {"SLSA v1", slsa1, `provenance.builder(predicate).endsWith("@refs/heads/main") && provenance.buildType(predicate) == "https://actions.github.io/buildtypes/workflow/v1" && ` + fromApp, "holds"},
		"Tekton":           {"another build type of SLSA v1", tekton, fromApp, "holds"},
		"OtherSource":      {"another repository", slsa1, `provenance.source(predicate) == "https://github.com/acme/ap"`, notMet},
		"R32Nothing":       {"no provenance", `{}`, `provenance.builder(predicate) != "x"`, "errs"},
		"R32Null":          {"no provenance", `null`, `provenance.builder(predicate) != "x"`, "errs"},
		"R32Both":          {"two versions in one", `{"builder":{"id":"good"},"runDetails":{"builder":{"id":"bad"}}}`, `provenance.builder(predicate) != "x"`, "errs"},
		"R32NoBuilder":     {"no builder", `{"buildDefinition":{"buildType":"t"}}`, `provenance.builder(predicate) != "x"`, "errs"},
		"R32BuilderShape":  {"a builder of another shape", `{"builder":"id"}`, `provenance.builder(predicate) != "x"`, "errs"},
		"R32BuilderList":   {"a builder of another shape", `{"builder":{"id":["a"]}}`, `provenance.builder(predicate) != "x"`, "errs"},
		"R32NoBuildType":   {"no build type", `{"builder":{"id":"x"}}`, `provenance.buildType(predicate) != "x"`, "errs"},
		"R32NoSource":      {"no source", `{"builder":{"id":"x"},"buildType":"t"}`, `provenance.source(predicate) != "x"`, "errs"},
		"R32BuildType":     {"a build type whose parameters mean what nobody knows", `{"buildDefinition":{"buildType":"https://example.com/t","externalParameters":{"workflow":{"repository":"https://github.com/acme/app"}}}}`, fromApp, "errs"},
		"R32Material":      {"a material that there is not", `{"builder":{"id":"x"},"recipe":{"type":"t","definedInMaterial":3},"materials":[{"uri":"git+https://github.com/acme/app"}]}`, fromApp, "errs"},
		"R32MaterialMinus": {"a material that there is not", `{"builder":{"id":"x"},"recipe":{"type":"t","definedInMaterial":-1},"materials":[{"uri":"git+https://github.com/acme/app"}]}`, fromApp, "errs"},
		"R32NoURL":         {"a source that is no repository", `{"builder":{"id":"x"},"buildType":"t","invocation":{"configSource":{"uri":"github.com"}}}`, `provenance.source(predicate) != "x"`, "errs"},
		"User":             {"a user in front of the host is part of it", `{"builder":{"id":"x"},"buildType":"t","invocation":{"configSource":{"uri":"git+https://github.com@evil.example/acme/app"}}}`, `provenance.source(predicate) == "https://github.com@evil.example/acme/app"`, "holds"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := verdict(t, tc.expression, about(tc.predicate)); got != tc.want {
				condition, _ := attest.CEL(tc.expression, "")
				t.Errorf("%s: want %s, got %s: %v", tc.reason, tc.want, got, condition.Check(t.Context(), about(tc.predicate)))
			}
		})
	}
}
