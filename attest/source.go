package attest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// origin is where a provenance says that something came from.
type origin struct {
	uri    string
	ref    string         // that a field of its own names
	digest map[string]any // by algorithm
	name   string         // of a dependency
}

// source implements provenance.source: the repository of which the builder
// built, as a URL without revision.
func source(predicate any) (any, error) {
	repository, _, err := readSource(predicate)
	if err != nil {
		return nil, err
	}
	return repository, nil
}

// readSource returns the repository, and the origins that name it: the first is
// the one that the builder vouches for.
//
// Tekton's builder vouches for where it found the definition of the build. What
// the build took in is told by its own steps: if they name another repository,
// there is none of which it could be said that the image was built of it.
func readSource(predicate any) (repository string, origins []origin, err error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return "", nil, err
	}
	configured := p.configured()
	kind := p.buildType()
	if p.err != nil {
		return "", nil, fmt.Errorf("%w: compare provenance.inputs, or the fields of the predicate", p.err)
	}
	if repository, err = repositoryOf(configured.uri); err != nil {
		return "", nil, err
	}
	origins = []origin{configured}
	for _, taken := range p.taken() {
		other, _, known := cutRepository(taken.uri)
		switch {
		case known && other == repository:
			origins = append(origins, taken)
		case isTekton(kind) && taken.isInput():
			return "", nil, fmt.Errorf("expected a build of one repository, got %q by definition and %q as input: compare provenance.inputs", clip(repository, maxQuoted), clip(other, maxQuoted))
		}
	}
	return repository, origins, p.err
}

// configured is where the builder found what it was to do: in SLSA v0.2
// invocation.configSource, in v0.1 the material that recipe.definedInMaterial
// names, in v1 a parameter that depends on the build type.
func (p *provenance) configured() origin {
	if !p.first() {
		return p.parameter()
	}
	recipe, invocation := p.part(p.predicate, "recipe"), p.part(p.predicate, "invocation")
	index, indexed := recipe["definedInMaterial"].(int64)
	if invocation != nil && indexed {
		p.fail("expected SLSA provenance of one version, got the fields of two")
		return origin{}
	}
	if recipe == nil || invocation != nil {
		config := p.part(invocation, "configSource")
		return origin{uri: p.need(config, "uri"), digest: p.part(config, "digest")}
	}
	materials := p.list(p.predicate, "materials")
	if !indexed || index < 0 || index >= int64(len(materials)) {
		p.fail("expected recipe.definedInMaterial to name one of %d materials, got %s", len(materials), shortly(recipe["definedInMaterial"]))
		return origin{}
	}
	material := p.object(materials[index], "materials[]")
	return origin{uri: p.need(material, "uri"), digest: p.part(material, "digest")}
}

// parameters say where the external parameters of a build type name the source
// repository and its ref. SLSA v1 leaves that to the build type, and the
// parameters of one whose meaning is not known may be what anybody asked for.
func parameters() map[string][2]string {
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

func (p *provenance) parameter() origin {
	kind := p.buildType()
	at, known := parameters()[kind]
	if !known {
		p.fail("expected a build type whose source is known, got %q", clip(kind, maxQuoted))
		return origin{}
	}
	parameter := p.part(p.part(p.definition, "externalParameters"), at[0])
	return origin{uri: p.need(parameter, at[1]), ref: p.text(parameter, "ref"), digest: p.part(parameter, "digest")}
}

// isTekton reports a build type of Tekton Chains: "tekton.dev/v1/TaskRun" in SLSA
// v0.2, a URL in v1.
func isTekton(kind string) bool {
	return strings.HasPrefix(kind, "tekton.dev/") || strings.HasPrefix(kind, "https://tekton.dev/")
}

// gitScheme begins the URIs of git repositories (SPDX download locations, as SLSA
// uses them).
const gitScheme = "git+"

// taken are the git repositories that a build took in: materials before SLSA v1,
// resolvedDependencies since.
func (p *provenance) taken() []origin {
	list := p.list(p.predicate, "materials")
	if !p.first() {
		list = p.list(p.definition, "resolvedDependencies")
	}
	var found []origin
	for _, v := range list {
		o := p.object(v, "materials[]")
		if uri := p.text(o, "uri"); strings.HasPrefix(uri, gitScheme) {
			found = append(found, origin{uri: uri, digest: p.part(o, "digest"), name: p.text(o, "name")})
		}
	}
	return found
}

// isInput reports whether something was taken in as the code to build, rather
// than as a part of the definition: Tekton Chains tells the latter by name, in
// SLSA v1.
func (o origin) isInput() bool {
	return !slices.Contains([]string{"pipeline", "task", "pipelineTask"}, o.name)
}

// inputs implements provenance.inputs: the git repositories that a build says
// that it took in, each once.
func inputs(predicate any) (any, error) {
	p, err := readProvenance(predicate)
	if err != nil {
		return nil, err
	}
	var all distinct
	for _, taken := range p.taken() {
		repository, err := repositoryOf(taken.uri)
		if err != nil {
			return nil, err
		}
		all.add(repository)
	}
	switch {
	case p.err != nil:
		return nil, p.err
	case len(all.all) == 0:
		return nil, errors.New("expected provenance that names git repositories as materials or resolvedDependencies, got none")
	case len(all.all) > maxResults:
		return nil, errResults
	}
	return anyOf(all.all), nil
}

// sourceRef implements provenance.sourceRef: the branch or tag, as the builder
// writes it.
func sourceRef(predicate any) (any, error) {
	_, origins, err := readSource(predicate)
	if err != nil {
		return nil, err
	}
	ref := origins[0].revision()
	if _, isDigest := digestOf(ref); isDigest || ref == "" {
		return nil, errors.New("expected provenance that names the ref of its source, got none")
	}
	return ref, nil
}

// revision is the ref that an origin names.
func (o origin) revision() string {
	if o.ref != "" {
		return o.ref
	}
	_, revision, _ := cutRepository(o.uri)
	return revision
}

// sourceDigest implements provenance.sourceDigest: the commit that was built, in
// hexadecimal. Everything that the provenance says of it must agree.
func sourceDigest(predicate any) (any, error) {
	_, origins, err := readSource(predicate)
	if err != nil {
		return nil, err
	}
	var all distinct
	ref := origins[0].revision()
	if digest, is := digestOf(ref); is {
		all.add(digest)
		ref = "" // it names no branch or tag to compare with
	}
	for _, o := range origins {
		if other := o.revision(); ref != "" && other != "" && other != ref {
			continue
		}
		if err := o.commits(&all); err != nil {
			return nil, err
		}
	}
	if len(all.all) != 1 {
		return nil, fmt.Errorf("expected provenance that names one commit of its source, got %d", len(all.all))
	}
	return all.all[0], nil
}

// commits collects the commits that an origin's digest names. A commit of git is
// called sha1 or gitCommit (in-toto attestation, "DigestSet"), and sha256 in
// repositories that use it.
func (o origin) commits(all *distinct) error {
	for _, algorithm := range []string{"sha1", "gitCommit", "sha256"} {
		v, there := o.digest[algorithm]
		if !there {
			continue
		}
		s, _ := v.(string)
		if !isCommit(s) {
			return fmt.Errorf("expected the digest %s to be hexadecimal, got %s", algorithm, shortly(v))
		}
		all.add(strings.ToLower(s))
	}
	return nil
}

// isCommit reports a SHA-1 or SHA-256 digest in hexadecimal.
func isCommit(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && (len(raw) == 20 || len(raw) == 32)
}

// digestOf reads what Tekton Chains writes as ref: "sha1:…".
func digestOf(ref string) (string, bool) {
	_, digest, is := strings.Cut(ref, ":")
	return strings.ToLower(digest), is && isCommit(digest)
}

// repositoryOf cuts "git+" and the revision off a source URI (SPDX download
// locations, as SLSA uses them), so that versions compare alike.
func repositoryOf(uri string) (string, error) {
	repository, _, is := cutRepository(uri)
	if !is {
		return "", fmt.Errorf("expected the URL of a repository, got %q", clip(uri, maxQuoted))
	}
	return repository, nil
}

// cutRepository cuts a source URI, git+https://host/path.git@revision#subpath,
// into repository and revision.
func cutRepository(uri string) (repository, revision string, is bool) {
	uri, _, _ = strings.Cut(uri, "#")
	scheme, rest, is := strings.Cut(strings.TrimPrefix(uri, gitScheme), "://")
	host, path, hasPath := strings.Cut(rest, "/")
	if !is || scheme == "" || host == "" || !hasPath {
		return "", "", false
	}
	path, revision, _ = strings.Cut(path, "@")
	return scheme + "://" + host + "/" + strings.TrimSuffix(path, ".git"), revision, true
}
