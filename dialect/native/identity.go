package native

import (
	"regexp"
	"strings"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

func (c *compiler) keyless(path string, k *v1alpha1.Keyless) party {
	spec := dialect.KeylessSpec{
		Issuer: k.Issuer, IssuerRegExp: k.IssuerRegExp, Subject: k.Subject, SubjectRegExp: k.SubjectRegExp,
		SourceRepository: k.SourceRepository, AnySubject: k.AnySubject,
		Extensions: c.texts(path+".extensions", k.Extensions), ExtensionsRegExp: c.texts(path+".extensionsRegExp", k.ExtensionsRegExp),
		CTLogIgnored: c.ctLog(path+".ctLog", k.CTLog),
	}
	issuer := path + ".issuer"
	if k.IssuerRegExp != "" {
		issuer = path + ".issuerRegExp"
	}
	extensions := path + ".extensions"
	if len(k.Extensions) == 0 {
		extensions = path + ".extensionsRegExp"
	}
	fields := map[string]string{
		dialect.FieldIssuer: issuer, dialect.FieldSubject: c.subject(path, k.Subject, k.SubjectRegExp, k.AnySubject),
		dialect.FieldSourceRepository: path + ".sourceRepository", dialect.FieldExtensions: extensions, dialect.FieldCTLog: path + ".ctLog",
	}
	c.ExactlyOne(path, dialect.Given("issuer", k.Issuer != ""), dialect.Given("issuerRegExp", k.IssuerRegExp != ""))
	if k.Subject == "" && k.SubjectRegExp == "" && !k.AnySubject {
		c.Missing(path, "expected subject or subjectRegExp, or anySubject: true, got none")
	}
	if k.AnySubject {
		c.Weaker(path+".anySubject", "a pattern may match every identity: whoever the issuer vouches for may sign")
	}
	c.sourceRepository(path+".sourceRepository", k.SourceRepository)
	for name := range k.ExtensionsRegExp {
		if _, twice := k.Extensions[name]; twice {
			c.Errorf(path+".extensionsRegExp."+name, "expected a name that extensions does not have, got one that it has")
		}
	}
	p := c.identity(path, spec, fields)
	spec.AnySubject = true
	p.anybody = c.identity(path, spec, fields).make
	return p
}

// ctLog reports whether certificate transparency is ignored (TRUST R27).
func (c *compiler) ctLog(path string, log v1alpha1.TransparencyLog) bool {
	if choice(c, path, log, v1alpha1.TransparencyLogRequired, v1alpha1.TransparencyLogIgnored) == 0 {
		return false
	}
	c.Weaker(path, "Ignored accepts certificates that no certificate transparency log has seen: nobody notices one that the authority issued to somebody else")
	return true
}

func (c *compiler) identity(path string, spec dialect.KeylessSpec, fields map[string]string) party {
	return party{path: path, fields: fields, make: func(common dialect.SigstoreSpec) (policy.Signer, error) {
		spec.SigstoreSpec = common
		return c.signers.Keyless(spec)
	}}
}

// sourceRepository is compared as a text: what is no URI would match nothing.
func (c *compiler) sourceRepository(path, s string) {
	scheme, rest, found := strings.Cut(s, "://")
	if s == "" || (found && scheme != "" && rest != "" && !strings.HasSuffix(rest, "/") && !strings.ContainsAny(s, " \t\n")) {
		return
	}
	c.Errorf(path, "expected the URI of a repository, such as https://github.com/acme/app, got %q", dialect.Clip(s))
}

const (
	githubIssuer = "https://token.actions.githubusercontent.com"
	githubURL    = "https://github.com/"
	workflows    = ".github/workflows/"
	// sourceRef is the name of the fact that a certificate states of the ref that
	// was built, whoever's workflow built it.
	sourceRef = "sourceRepositoryRef"
)

// GitHub's names of owners, repositories and commits. A workflow is a file
// directly in its folder.
var (
	githubRepository = regexp.MustCompile(`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`)
	githubWorkflow   = regexp.MustCompile(`^[^/@*\x00-\x20\x7f]+\.ya?ml$`)
	githubCommit     = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	gitRef           = regexp.MustCompile(`^refs/[^\x00-\x20\x7f~^:?\[\\]+$`)
)

// github writes the short form out.
func (c *compiler) github(path string, g *v1alpha1.GitHubWorkflow) party {
	if g.Repository == "" {
		c.Missing(path+".repository", "expected a repository such as acme/app, got none")
		return party{}
	}
	if !githubRepository.MatchString(g.Repository) {
		c.Errorf(path+".repository", "expected owner/name, such as acme/app, got %q", dialect.Clip(g.Repository))
		return party{}
	}
	spec := dialect.KeylessSpec{
		Issuer: githubIssuer, SourceRepository: githubURL + g.Repository, CTLogIgnored: c.ctLog(path+".ctLog", g.CTLog),
	}
	if !c.githubSubject(path, g, &spec) {
		return party{}
	}
	switch {
	case g.Ref == "":
		c.Weaker(path, "without ref every branch, tag and pull request of %s counts", g.Repository)
	case !c.ref(path+".ref", g.Ref):
		return party{}
	case strings.Contains(g.Ref, "*"):
		spec.ExtensionsRegExp = map[string]string{sourceRef: refPattern(g.Ref)}
	default:
		spec.Extensions = map[string]string{sourceRef: g.Ref}
	}
	subject := path + ".workflow"
	if g.Workflow == "" {
		subject = path + ".repository"
	}
	return c.identity(path, spec, map[string]string{
		dialect.FieldSubject: subject, dialect.FieldSourceRepository: path + ".repository", dialect.FieldExtensions: path + ".ref",
		dialect.FieldCTLog: path + ".ctLog",
	})
}

// githubSubject sets the identity of a workflow: its file's URL and the ref at
// which it was used.
func (c *compiler) githubSubject(path string, g *v1alpha1.GitHubWorkflow, spec *dialect.KeylessSpec) bool {
	if g.Workflow == "" {
		c.Note(path, "without workflow any workflow of %s counts", g.Repository)
		spec.SubjectRegExp = regexp.QuoteMeta(githubURL+g.Repository+"/"+workflows) + "[^/@]+@.+"
		return true
	}
	path += ".workflow"
	file, ref, pinned := strings.Cut(g.Workflow, "@")
	home, name := g.Repository, strings.TrimPrefix(file, workflows)
	if i := strings.Index(file, "/"+workflows); i >= 0 {
		home, name = file[:i], file[i+1+len(workflows):]
	}
	if !githubRepository.MatchString(home) || !githubWorkflow.MatchString(name) {
		c.Errorf(path, "expected a file such as release.yml, or owner/name/%srelease.yml of another repository, got %q", workflows, dialect.Clip(g.Workflow))
		return false
	}
	url := githubURL + home + "/" + workflows + name + "@"
	switch {
	case !pinned:
		if home != g.Repository {
			c.Note(path, "without a ref, as in %s@refs/tags/v1, every branch, tag and pull request of %s counts", dialect.Clip(file), home)
		}
		spec.SubjectRegExp = regexp.QuoteMeta(url) + ".+"
	case githubCommit.MatchString(ref):
		spec.Subject = url + ref
	case !c.ref(path, ref):
		return false
	case strings.Contains(ref, "*"):
		spec.SubjectRegExp = regexp.QuoteMeta(url) + refPattern(ref)
	default:
		spec.Subject = url + ref
	}
	return true
}

func (c *compiler) ref(path, ref string) bool {
	if gitRef.MatchString(ref) && !strings.Contains(ref, "**") {
		return true
	}
	c.Errorf(path, "expected a ref such as refs/heads/main or refs/tags/v*, got %q", dialect.Clip(ref))
	return false
}

// refPattern is a ref in which `*` stays between slashes.
func refPattern(ref string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(ref), `\*`, "[^/]*")
}
