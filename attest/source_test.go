package attest_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
)

const commit = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"

// What GitHub, the SLSA generators and Tekton Chains write, shortened.
const (
	githubV1 = `{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1",
		"externalParameters":{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/acme/app","path":".github/workflows/release.yml"}},
		"internalParameters":{"github":{"event_name":"push","repository_id":"1","repository_owner_id":"2","runner_environment":"github-hosted"}},
		"resolvedDependencies":[{"uri":"git+https://github.com/acme/app@refs/heads/main","digest":{"gitCommit":"` + commit + `"}}]},
		"runDetails":{"builder":{"id":"https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"},"metadata":{"invocationId":"https://github.com/acme/app/actions/runs/1/attempts/1"}}}`
	generatorV02 = `{"builder":{"id":"https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.1.0"},
		"buildType":"https://github.com/slsa-framework/slsa-github-generator/container@v1",
		"invocation":{"configSource":{"uri":"git+https://github.com/acme/app@refs/tags/v1","digest":{"sha1":"` + commit + `"},"entryPoint":".github/workflows/release.yml"}},
		"materials":[{"uri":"git+https://github.com/acme/app@refs/tags/v1","digest":{"sha1":"` + commit + `"}}]}`
	generatorV1 = `{"buildDefinition":{"buildType":"https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0",
		"externalParameters":{"source":{"uri":"git+https://github.com/acme/app@refs/tags/v1","digest":{"sha1":"` + commit + `"}}},
		"resolvedDependencies":[{"uri":"git+https://github.com/acme/app@refs/tags/v1","digest":{"sha1":"` + commit + `"}}]},
		"runDetails":{"builder":{"id":"b"}}}`
	tektonV02 = `{"builder":{"id":"https://tekton.dev/chains/v2"},"buildType":"tekton.dev/v1/PipelineRun",
		"invocation":{"configSource":{"uri":"git+https://github.com/acme/app.git","digest":{"sha1":"` + commit + `"},"entryPoint":"pipeline.yaml"},"parameters":{}},
		"metadata":{"buildStartedOn":"2026-02-28T11:00:00Z","buildFinishedOn":"2026-02-28T12:00:00Z","completeness":{"parameters":false,"environment":false,"materials":false},"reproducible":false},
		"materials":[{"uri":"oci://docker.io/library/golang","digest":{"sha256":"ab"}},{"uri":"git+https://github.com/acme/app.git","digest":{"sha1":"` + commit + `"}}]}`
	tektonV1 = `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa-tekton",
		"externalParameters":{"runSpec":{},"buildConfigSource":{"ref":"sha1:` + commit + `","repository":"git+https://github.com/acme/app.git","path":"pipeline.yaml"}},
		"internalParameters":{"tekton-pipelines-feature-flags":{}},
		"resolvedDependencies":[{"name":"pipeline","uri":"git+https://github.com/acme/app.git","digest":{"sha1":"` + commit + `"}},
			{"name":"pipelineTask","uri":"git+https://github.com/tektoncd/catalog.git","digest":{"sha1":"0000000000000000000000000000000000000000"}},
			{"name":"inputs/result","uri":"git+https://github.com/acme/app.git","digest":{"sha1":"` + commit + `"}}]},
		"runDetails":{"builder":{"id":"https://tekton.dev/chains/v2"},"metadata":{"invocationId":"u","startedOn":"2026-02-28T11:00:00Z","finishedOn":"2026-02-28T12:00:00Z"}}}`
)

func TestProvenanceOfEachBuilder(t *testing.T) {
	const (
		fromApp  = `provenance.source(predicate) == "https://github.com/acme/app"`
		ofCommit = `provenance.sourceDigest(predicate) == "` + commit + `"`
		anyInput = `provenance.inputs(predicate) != ["x"]`
		anyRef   = `provenance.sourceRef(predicate) != "x"`
		anyHash  = `provenance.sourceDigest(predicate) != "x"`
		anyFrom  = `provenance.source(predicate) != "x"`
	)
	but := strings.ReplaceAll
	cases := map[string]struct {
		reason     string
		predicate  string
		expression string
		want       string
	}{
		"GitHub":         {"its repository, ref and commit", githubV1, fromApp + ` && provenance.sourceRef(predicate) == "refs/heads/main" && ` + ofCommit, "holds"},
		"GitHubInputs":   {"what it took in", githubV1, `provenance.inputs(predicate) == ["https://github.com/acme/app"]`, "holds"},
		"GitHubOther":    {"it may take in other repositories, for its builder knows of what it builds", but(githubV1, `[{"uri"`, `[{"uri":"git+https://github.com/acme/tools","digest":{}},{"uri"`), fromApp + ` && ` + ofCommit, "holds"},
		"GeneratorV02":   {"the revision is in the URI", generatorV02, fromApp + ` && provenance.sourceRef(predicate) == "refs/tags/v1" && ` + ofCommit, "holds"},
		"GeneratorV1":    {"the revision is in the URI", generatorV1, fromApp + ` && provenance.sourceRef(predicate) == "refs/tags/v1" && ` + ofCommit, "holds"},
		"TektonV02":      {"slsa/v1", tektonV02, fromApp + ` && ` + ofCommit + ` && provenance.builder(predicate) == "https://tekton.dev/chains/v2"`, "holds"},
		"TektonV1":       {"slsa/v2alpha4", tektonV1, fromApp + ` && ` + ofCommit + ` && provenance.builder(predicate) == "https://tekton.dev/chains/v2"`, "holds"},
		"TektonV1Plain":  {"slsa/v2alpha3", but(tektonV1, "chains/v2/slsa-tekton", "chains/v2/slsa"), fromApp + ` && ` + ofCommit, "holds"},
		"TektonInputs":   {"with what its steps took in", tektonV1, `provenance.inputs(predicate) == ["https://github.com/acme/app", "https://github.com/tektoncd/catalog"]`, "holds"},
		"TektonOther":    {"another repository", tektonV02, `provenance.source(predicate) == "https://github.com/acme/evil"`, notMet},
		"OtherAlgorithm": {"git names its commits twice alike", but(githubV1, `"gitCommit":`, `"sha1":"`+commit+`","gitCommit":`), ofCommit, "holds"},
		"OtherRevision":  {"another revision of the repository is another thing", but(githubV1, `[{"uri"`, `[{"uri":"git+https://github.com/acme/app@refs/heads/tools","digest":{"gitCommit":"0000000000000000000000000000000000000000"}},{"uri"`), ofCommit, "holds"},
		"Subpath":        {"a subpath is not part of the repository", but(tektonV02, "app.git", "app.git#dir"), fromApp, "holds"},
		"Kept":           {"a field of v0.1 that a builder kept", but(tektonV02, `"invocation"`, `"recipe":{"type":"t"},"invocation"`), fromApp, "holds"},
		"V01Digest":      {"the digest of the material", but(slsa01, `"ab"`, `"`+commit+`"`), ofCommit + ` && provenance.sourceRef(predicate) == "refs/tags/v1"`, "holds"},

		"R32TektonTwo":       {"the definition of one, the code of another", but(tektonV1, `"name":"inputs/result","uri":"git+https://github.com/acme/app.git"`, `"name":"inputs/result","uri":"git+https://github.com/acme/evil.git"`), anyFrom, "errs"},
		"R32TektonTwoV02":    {"the definition of one, the code of another", but(tektonV02, `"materials":[`, `"materials":[{"uri":"git+https://github.com/acme/evil"},`), anyFrom, "errs"},
		"R32TektonOddInput":  {"an input of which nobody knows what it is", but(tektonV02, `"materials":[`, `"materials":[{"uri":"git+evil"},`), anyFrom, "errs"},
		"R32TektonLocal":     {"a definition of the cluster's own: the steps' word alone is none", but(tektonV02, `"uri":"git+https://github.com/acme/app.git","digest":{"sha1":"`+commit+`"},"entryPoint":"pipeline.yaml"`, ``), anyFrom, "errs"},
		"R32TwoVersions":     {"recipe and invocation both name a source", but(slsa01, `"materials"`, `"invocation":{"configSource":{"uri":"git+https://github.com/acme/app"}},"materials"`), anyFrom, "errs"},
		"R32TwoCommits":      {"two commits of one revision", but(githubV1, `[{"uri"`, `[{"uri":"git+https://github.com/acme/app@refs/heads/main","digest":{"gitCommit":"0000000000000000000000000000000000000000"}},{"uri"`), anyHash, "errs"},
		"R32TwoAlgorithms":   {"two commits in one digest", but(githubV1, `"gitCommit":`, `"sha1":"0000000000000000000000000000000000000000","gitCommit":`), anyHash, "errs"},
		"R32TektonCommits":   {"ref and dependency differ", but(tektonV1, `"ref":"sha1:`+commit, `"ref":"sha1:0000000000000000000000000000000000000000`), anyHash, "errs"},
		"R32TektonBranch":    {"a dependency of a branch, whose commit differs", but(tektonV1, `"name":"inputs/result","uri":"git+https://github.com/acme/app.git","digest":{"sha1":"`+commit, `"name":"inputs/result","uri":"git+https://github.com/acme/app.git@main","digest":{"sha1":"0000000000000000000000000000000000000000`), anyHash, "errs"},
		"R32NoCommit":        {"no digest", slsa1, anyHash, "errs"},
		"R32ShortCommit":     {"a digest that is none", slsa02, anyHash, "errs"},
		"R32CommitShape":     {"a digest of another shape", but(generatorV02, `"`+commit+`"`, `1`), anyHash, "errs"},
		"R32DigestShape":     {"a digest of another shape", but(generatorV02, `{"sha1":"`+commit+`"}`, `[]`), anyHash, "errs"},
		"R32NoRef":           {"no ref", tektonV02, anyRef, "errs"},
		"R32RefDigest":       {"Tekton's ref is a digest", tektonV1, anyRef, "errs"},
		"R32RefShape":        {"a ref of another shape", but(githubV1, `"ref":"refs/heads/main"`, `"ref":7`), anyRef, "errs"},
		"R32InputsNone":      {"nothing was taken in", slsa1, anyInput, "errs"},
		"R32InputsEmpty":     {"nothing was taken in", but(slsa1, `"externalParameters"`, `"resolvedDependencies":[],"externalParameters"`), anyInput, "errs"},
		"R32InputsNoGit":     {"no repository was taken in", `{"builder":{"id":"b"},"buildType":"t","materials":[{"uri":"pkg:docker/alpine"}]}`, anyInput, "errs"},
		"R32InputsShape":     {"no list", `{"builder":{"id":"b"},"buildType":"t","materials":{"uri":"git+https://github.com/acme/app"}}`, anyInput, "errs"},
		"R32InputsOdd":       {"a repository that is none", `{"builder":{"id":"b"},"buildType":"t","materials":[{"uri":"git+https://github.com"}]}`, anyInput, "errs"},
		"R32InputsNothing":   {"no provenance", `{}`, anyInput, "errs"},
		"R32RefNothing":      {"no provenance", `null`, anyRef, "errs"},
		"R32DigestNothing":   {"no provenance", `[]`, anyHash, "errs"},
		"R32ParameterShape":  {"parameters of another shape", but(githubV1, `"workflow":{`, `"workflow":[{}],"x":{`), anyFrom, "errs"},
		"R32UnknownForInput": {"a dependency does not make an unknown build type known", but(githubV1, "https://actions.github.io/buildtypes/workflow/v1", "https://example.com/t"), anyFrom, "errs"},
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
