package attest

import (
	"errors"
	"fmt"
	"strings"
)

// provenance is a SLSA provenance predicate of any version.
type provenance struct {
	cursor

	predicate map[string]any
	// definition and run are the parts of a predicate of version 1; nil for
	// another.
	definition, run map[string]any
}

// readProvenance tells the versions of SLSA provenance by their fields. A
// predicate that fits two, or none, is an error (TRUST R32).
func readProvenance(predicate any) (*provenance, error) {
	p := &provenance{}
	p.predicate = p.object(predicate, "the provenance")
	p.definition, p.run = p.part(p.predicate, "buildDefinition"), p.part(p.predicate, "runDetails")
	_, old := p.predicate["builder"]
	switch v1 := p.definition != nil || p.run != nil; {
	case p.err != nil:
		return nil, p.err
	case v1 && old:
		return nil, errors.New("expected SLSA provenance of one version, got the fields of two")
	case !v1 && !old:
		return nil, errors.New("expected SLSA provenance v0.1, v0.2 or v1, got neither builder nor buildDefinition")
	}
	return p, nil
}

func (p *provenance) first() bool { return p.definition == nil && p.run == nil }

// builder implements provenance.builder (SLSA v1 runDetails.builder.id, before
// builder.id).
func builder(predicate any) (any, error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return nil, err
	}
	of := p.run
	if p.first() {
		of = p.predicate
	}
	id := p.need(p.part(of, "builder"), "id")
	return id, prefix("builder", p.err)
}

// buildType implements provenance.buildType.
func buildType(predicate any) (any, error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return nil, err
	}
	kind := p.buildType()
	return kind, p.err
}

func (p *provenance) buildType() string {
	if !p.first() {
		return p.need(p.definition, "buildType")
	}
	if recipe := p.part(p.predicate, "recipe"); recipe != nil {
		return p.need(recipe, "type") // SLSA v0.1
	}
	return p.need(p.predicate, "buildType")
}

// source implements provenance.source: the repository of which the builder
// built, as a URL without revision.
func source(predicate any) (any, error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return nil, err
	}
	var uri string
	if p.first() {
		uri = p.oldSource()
	} else {
		uri = p.source()
	}
	if p.err != nil {
		return nil, p.err
	}
	return repositoryOf(uri)
}

// oldSource is invocation.configSource.uri in SLSA v0.2, and the material that
// recipe.definedInMaterial names in v0.1.
func (p *provenance) oldSource() string {
	recipe := p.part(p.predicate, "recipe")
	if recipe == nil {
		return p.need(p.part(p.part(p.predicate, "invocation"), "configSource"), "uri")
	}
	index, is := recipe["definedInMaterial"].(int64)
	materials := p.list(p.predicate, "materials")
	if !is || index < 0 || index >= int64(len(materials)) {
		p.fail("expected recipe.definedInMaterial to name one of %d materials, got %s", len(materials), kindOf(recipe["definedInMaterial"]))
		return ""
	}
	return p.need(p.object(materials[index], "materials[]"), "uri")
}

// sources say where the external parameters of a build type name the source
// repository. SLSA v1 leaves that to the build type, and the parameters of one
// whose meaning is not known may be what anybody asked for.
func sources() map[string][2]string {
	workflow, config, direct := [2]string{"workflow", "repository"}, [2]string{"buildConfigSource", "repository"}, [2]string{"source", "uri"}
	return map[string][2]string{
		"https://actions.github.io/buildtypes/workflow/v1":                                      workflow,
		"https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1":                workflow,
		"https://cloud.google.com/build/gcb-buildtypes/google-worker/v1":                        config,
		"https://tekton.dev/chains/v2/slsa":                                                     config,
		"https://tekton.dev/chains/v2/slsa-tekton":                                              config,
		"https://slsa.dev/container-based-build/v0.1?draft":                                     direct,
		"https://github.com/slsa-framework/slsa-github-generator/container-based@v1":            direct,
		"https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0":          direct,
		"https://github.com/slsa-framework/slsa-github-generator/delegator-lowperms-generic@v0": direct,
	}
}

func (p *provenance) source() string {
	kind := p.buildType()
	at, known := sources()[kind]
	if !known {
		p.fail("expected a build type whose source is known, got %q: compare the fields of buildDefinition.externalParameters", clip(kind, maxQuoted))
		return ""
	}
	return p.need(p.part(p.part(p.definition, "externalParameters"), at[0]), at[1])
}

// repositoryOf cuts "git+" and the revision off a source URI (SPDX download
// locations, as SLSA uses them), so that versions compare alike.
func repositoryOf(uri string) (any, error) {
	scheme, rest, is := strings.Cut(strings.TrimPrefix(uri, "git+"), "://")
	host, path, hasPath := strings.Cut(rest, "/")
	if !is || scheme == "" || host == "" || !hasPath {
		return nil, fmt.Errorf("expected the URL of a repository, got %q", clip(uri, maxQuoted))
	}
	path, _, _ = strings.Cut(path, "@")
	return scheme + "://" + host + "/" + strings.TrimSuffix(path, ".git"), nil
}

func prefix(where string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}
