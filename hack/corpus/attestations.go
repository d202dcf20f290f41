package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// The predicate types by their URIs.
const (
	slsa02    = "https://slsa.dev/provenance/v0.2"
	slsa1     = "https://slsa.dev/provenance/v1"
	spdx      = "https://spdx.dev/Document"
	cycloneDX = "https://cyclonedx.org/bom"
	vuln      = "https://cosign.sigstore.dev/attestation/vuln/v1"
)

// predicates are what the attestations say, by file name.
var predicates = map[string]string{
	// The recipe is a field of v0.1 that some builders kept: cosign drops it if
	// the type is asked for by name, and keeps it by URI.
	"slsa02.json":    `{"builder":{"id":"tekton-chains"},"buildType":"https://tekton.dev/attestations/chains@v2","recipe":{"type":"https://tekton.dev/attestations/chains@v1"},"invocation":{"configSource":{"uri":"git+https://git.example/acme/app","digest":{"sha1":"7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"},"entryPoint":"release.yaml"}},"metadata":{"buildInvocationID":"acme-release-1","completeness":{"parameters":true,"environment":false,"materials":true},"reproducible":false},"materials":[{"uri":"git+https://git.example/acme/app","digest":{"sha1":"7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}}]}`,
	"laptop02.json":  `{"builder":{"id":"laptop"},"buildType":"https://tekton.dev/attestations/chains@v2","recipe":{"type":"by hand"}}`,
	"slsa1.json":     `{"buildDefinition":{"buildType":"https://ci.example/build/v1","externalParameters":{"repository":"https://git.example/acme/app","ref":"refs/tags/v1"},"internalParameters":{"runner":"large"},"resolvedDependencies":[{"uri":"git+https://git.example/acme/app@refs/tags/v1","digest":{"gitCommit":"7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}}]},"runDetails":{"builder":{"id":"https://ci.example/builder","version":{"ci":"1.2.3"}},"metadata":{"invocationID":"acme-release-1","startedOn":"2026-01-02T03:04:05Z","finishedOn":"2026-01-02T03:14:05Z"}}}`,
	"spdx.json":      `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"acme/app","documentNamespace":"https://acme.example/sbom/app","creationInfo":{"created":"2026-01-02T03:04:05Z","creators":["Tool: example"],"licenseListVersion":"3.17"},"packages":[{"SPDXID":"SPDXRef-1","name":"zlib","versionInfo":"1.3.1","downloadLocation":"NOASSERTION","licenseConcluded":"Zlib"}]}`,
	"cyclonedx.json": `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"type":"library","name":"zlib","version":"1.3.1","licenses":[{"expression":"Zlib"}]},{"type":"library","name":"busybox","version":"1.36.1","licenses":[{"expression":"GPL-2.0"}]}]}`,
	"vuln.json":      `{"invocation":{"parameters":["--quiet"],"uri":"https://ci.example/run/1","event_id":"","builder.id":"https://ci.example/scanner"},"scanner":{"uri":"pkg:example/scanner@1.0.0","version":"1.0.0","db":{"uri":"https://db.example","version":"2026-01-02"},"result":{"vulnerabilities":[{"id":"CVE-2026-0001","severity":"HIGH"},{"id":"CVE-2026-0002","severity":"LOW"}]}},"metadata":{"scanStartedOn":"2026-01-02T03:04:05Z","scanFinishedOn":"2026-01-02T03:05:05Z"}}`,
}

// A statement is one run of cosign attest.
type statement struct{ key, kind, predicate string }

// attestationCase has statements about one image, and maybe a signature.
type attestationCase struct {
	name, description string
	tool              string
	bundle            bool
	statements        []statement
	signed            bool
	types             []string // what the key builder says, by URI
}

// attestationCases are made twice by cosign v3, as .att manifests and as
// bundles, and once by v2.
func attestationCases() []corpusCase {
	kinds := []attestationCase{
		{name: "slsa02", description: "A SLSA provenance v0.2 with the builder's own fields", statements: []statement{{"builder", slsa02, "slsa02.json"}}, types: []string{slsa02}},
		{name: "slsa1", description: "A SLSA provenance v1", statements: []statement{{"builder", "slsaprovenance1", "slsa1.json"}}, types: []string{slsa1}},
		{name: "spdx", description: "An SPDX document", statements: []statement{{"builder", "spdxjson", "spdx.json"}}, types: []string{spdx}},
		{name: "cyclonedx", description: "A CycloneDX document", statements: []statement{{"builder", "cyclonedx", "cyclonedx.json"}}, types: []string{cycloneDX}},
		{name: "vuln", description: "A vulnerability scan", statements: []statement{{"builder", "vuln", "vuln.json"}}, types: []string{vuln}},
		{
			name: "disagree", description: "Two provenances by one key that name different builders",
			statements: []statement{{"builder", slsa02, "slsa02.json"}, {"builder", slsa02, "laptop02.json"}}, types: []string{slsa02},
		},
		{
			name: "two-keys", description: "A provenance and a scan by two keys, and a signature by the first", signed: true,
			statements: []statement{{"builder", slsa02, "slsa02.json"}, {"auditor", "vuln", "vuln.json"}}, types: []string{slsa02},
		},
	}
	var cases []corpusCase
	for _, form := range []struct {
		prefix, tool, how string
		bundle            bool
	}{
		{"cosign2-att-", "cosign2", "in cosign v2's .att manifest", false},
		{"cosign3-att-", "cosign3", "in cosign v3's .att manifest", false},
		{"cosign3-bundle-att-", "cosign3", "as cosign v3's bundles", true},
	} {
		for _, c := range kinds {
			if form.tool == "cosign2" && c.name != "slsa02" && c.name != "two-keys" {
				continue
			}
			c.tool, c.bundle = form.tool, form.bundle
			cases = append(cases, corpusCase{name: form.prefix + c.name, description: c.description + ", " + form.how + ".", make: c.make})
		}
	}
	return cases
}

func (c attestationCase) make(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
	image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
	if err != nil {
		return fixture.Image{}, nil, err
	}
	if err := b.writePredicates(); err != nil {
		return fixture.Image{}, nil, err
	}
	for _, s := range c.statements {
		if err := b.run(ctx, c.tool, image, c.attest(s)...); err != nil {
			return fixture.Image{}, nil, err
		}
	}
	if c.signed {
		args := sign2("builder")
		if c.tool == "cosign3" {
			args = sign3(c.bundle, "builder")
		}
		if err := b.run(ctx, c.tool, image, args...); err != nil {
			return fixture.Image{}, nil, err
		}
	}
	return image, c.checks(), nil
}

func (w *workshop) writePredicates() error {
	for name, content := range predicates {
		if err := os.WriteFile(filepath.Join(w.scratch, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c attestationCase) attest(s statement) []string {
	args := []string{"attest", "--key", s.key + ".key", "--type", s.kind, "--predicate", s.predicate, "--tlog-upload=false", "--allow-http-registry", "-y"}
	if c.tool == "cosign3" {
		args = append(args, "--use-signing-config=false", fmt.Sprintf("--new-bundle-format=%t", c.bundle))
	}
	return args
}

// checks ask for a signature, for each type, and for a type that the key did
// not state.
func (c attestationCase) checks() []fixture.Check {
	checks := []fixture.Check{allowed("builder"), denied("stranger", "SignerMismatch")}
	if !c.signed {
		reason := "NotSigned"
		if c.bundle {
			reason = "UnsupportedEvidence" // it is there, and is no signature
		}
		checks = []fixture.Check{denied("builder", reason), denied("stranger", reason)}
		if c.bundle {
			checks[0].Foreign = anyStatement
		}
	}
	of := func(check fixture.Check, kind string) fixture.Check {
		check.Attestation = kind
		return check
	}
	for _, kind := range c.types {
		checks = append(checks, of(allowed("builder"), kind), of(denied("stranger", ""), kind))
	}
	if c.signed {
		checks = append(checks, of(allowed("auditor"), vuln), of(denied("auditor", ""), slsa02), of(denied("builder", ""), vuln))
	}
	return append(checks, of(denied("builder", ""), "https://example.com/absent"))
}
