package main

import "strings"

// The names of the keys: Chains' own, and one that the policies do not know.
const (
	chainsKey   = "chains"
	strangerKey = "stranger"
)

// What the builds name.
const (
	builder      = "https://tekton.example.com/chains"
	otherBuilder = "https://laptop.example.com/chains"
	source       = "https://github.com/acme/app"
	otherSource  = "https://github.com/mallory/app"
	commit       = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"
)

// The kinds of runs, and the formats of Chains: the first writes SLSA provenance
// v0.2, the second v1.
const (
	taskRun     = "TaskRun"
	pipelineRun = "PipelineRun"
	formatV02   = "slsa/v1"
	formatV1    = "slsa/v2alpha4"
)

// A buildCase is an image, tagged by its name, and the builds that Chains says
// it came of.
type buildCase struct {
	tag    string
	builds []build
}

// A build is a run that Chains attests. The empty fields are the right ones.
type build struct {
	kind, format string
	builder      string // of Chains' configuration
	definition   string // the repository that has the Task or Pipeline
	input        string // the repository that the steps say they cloned
	key          string // whose signature the provenance has
}

func (b build) builderID() string { return or(b.builder, builder) }
func (b build) defined() string   { return or(b.definition, source) }
func (b build) cloned() string    { return or(b.input, source) }
func (b build) signer() string    { return or(b.key, chainsKey) }

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func cases() []buildCase {
	all := []buildCase{
		{tag: "unattested"},
		{tag: "everything", builds: []build{
			{kind: taskRun, format: formatV02},
			{kind: taskRun, format: formatV1},
			{kind: pipelineRun, format: formatV02},
			{kind: pipelineRun, format: formatV1},
		}},
	}
	for _, kind := range []string{taskRun, pipelineRun} {
		for _, format := range []string{formatV02, formatV1} {
			all = append(all,
				buildCase{tag: tagOf(kind, "-another", format)}, // which gets what is said of other images
				buildCase{tagOf(kind, "", format), []build{{kind: kind, format: format}}},
				buildCase{tagOf(kind, "-builder", format), []build{{kind: kind, format: format, builder: otherBuilder}}},
				buildCase{tagOf(kind, "-source", format), []build{{kind: kind, format: format, definition: otherSource, input: otherSource}}},
				buildCase{tagOf(kind, "-input", format), []build{{kind: kind, format: format, input: otherSource}}},
				buildCase{tagOf(kind, "-key", format), []build{{kind: kind, format: format, key: strangerKey}}},
			)
		}
	}
	return all
}

// tagOf names a case: the kind of run, what is other than it should be, and the
// version of SLSA provenance.
func tagOf(kind, other, format string) string {
	version := map[string]string{formatV02: "v02", formatV1: "v1"}[format]
	return strings.ToLower(kind) + other + "-" + version
}
