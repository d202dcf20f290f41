package kyverno

import (
	"errors"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// keyless returns the signer with an identity that a Fulcio vouches for. path
// is where the object is that holds the fields.
func (s *signing) keyless(of signers, path string, k *keyless) []policy.Signature {
	before := len(s.Errors)
	c, _ := s.shared(of, path, k.Rekor, k.CTLog)
	parts := c.parts()
	parts.Fulcio = s.each(path+".roots", k.Roots)
	spec := dialect.KeylessSpec{PartialMatch: true}
	if l := k.CTLog; l != nil && l.IgnoreSCT {
		s.Weaker(path+".ctlog.ignoreSCT", "true accepts certificates that no certificate transparency log has seen: nobody notices one that the authority issued to somebody else")
		spec.CTLogIgnored = true
	} else if l != nil {
		parts.CTLogs = s.each(path+".ctlog.pubkey", l.PubKey)
	}
	c.trust(parts)
	spec.SigstoreSpec = c.SigstoreSpec
	issuer := s.who(path, "issuer", "who vouches for the identity", k.Issuer, k.IssuerRegExp)
	subject := s.who(path, "subject", "the identity", k.Subject, k.SubjectRegExp)
	spec.Issuer, spec.IssuerRegExp, spec.Subject, spec.SubjectRegExp = issuer.exact, issuer.expression, subject.exact, subject.expression
	s.extensions(path+".additionalExtensions", k.AdditionalExtensions, issuer, &spec)
	if len(s.Errors) > before || issuer.unread() || subject.unread() {
		return nil
	}
	if s.left--; s.left < 0 {
		return nil
	}
	maps.Copy(c.fields, map[string]string{
		dialect.FieldIssuer: issuer.path, dialect.FieldSubject: subject.path, dialect.FieldFulcio: path + ".roots", dialect.FieldTrustedRoot: path,
		dialect.FieldExtensions: path + ".additionalExtensions", dialect.FieldSourceRepository: path + ".additionalExtensions",
	})
	made, err := s.identity(spec, c.fields)
	if errors.Is(err, errAnybody) {
		return nil
	}
	return s.made(made, err, ".keyless", c, path)
}

// who is an issuer or a subject: a text, or an expression some part of the text
// must match.
type who struct{ path, exact, expression string }

// unread reports that nothing is there, or nothing that could be read.
func (w who) unread() bool { return w.exact == "" && w.expression == "" }

// who reads a pair of fields. A value with wildcards is an expression of the
// whole text, in type Cosign; the other field is one of a part, as Kyverno
// documents it (TRUST R14).
func (s *signing) who(path, name, what, text, expression string) who {
	w := who{path: path + "." + name}
	switch {
	case text != "" && expression != "":
		s.Errorf(w.path, "expected it or %sRegExp, got both: write one expression", name)
	case expression != "":
		w.path += "RegExp"
		w.expression, _ = s.text(w.path, expression, s.variables)
		if !anchored(w.expression) {
			s.Weaker(w.path, "it matches anywhere in the text, as in Kyverno: write ^ at its beginning and $ at its end")
		}
	case text == "":
		s.Missing(w.path, "expected %s, got none: anybody could sign", what)
	default:
		w.exact, _ = s.text(w.path, text, s.variables)
		switch {
		case !hasWildcard(w.exact):
		case s.kind == bundleType:
			s.Note(w.path, "in type SigstoreBundle * and ? stand for themselves: write %sRegExp", name)
		default:
			w.exact, w.expression = "", expressionOf(w.exact)
		}
	}
	return w
}

// anchored reports whether an expression matches nothing but whole texts.
func anchored(expression string) bool {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil || parsed.Op != syntax.OpConcat {
		return false
	}
	last := len(parsed.Sub) - 1
	return parsed.Sub[0].Op == syntax.OpBeginText && parsed.Sub[last].Op == syntax.OpEndText
}

// errAnybody is an identity that means everybody, which is reported.
var errAnybody = errors.New("the identity means everybody")

// identity makes the signer. An identity that is refused but for admitting
// everybody needs an annotation of the policy.
func (s *signing) identity(spec dialect.KeylessSpec, fields map[string]string) (policy.Signer, error) {
	made, err := s.compiler.signers.Keyless(spec)
	wide := admitted(err)
	if wide == "" {
		return made, err
	}
	open := spec
	open.AnySubject = true
	anybody, openErr := s.compiler.signers.Keyless(open)
	if admitted(openErr) != "" {
		return nil, err
	}
	if !s.annotated(annotationAnySubject) {
		s.refuse(fields[wide], "it admits everybody, and so whoever signs: say more, or annotate the policy with "+annotationAnySubject+`: "true"`)
		return nil, errAnybody
	}
	s.Weaker(fields[wide], "it admits everybody, which the annotation %s accepts: whoever is vouched for may sign", annotationAnySubject)
	return anybody, openErr
}

// admitted returns which field of the identity an error is about, if any.
func admitted(err error) string {
	var wrong *dialect.SpecError
	if errors.As(err, &wrong) && (wrong.Field == dialect.FieldIssuer || wrong.Field == dialect.FieldSubject) {
		return wrong.Field
	}
	return ""
}

const (
	// fulcioExtension is Fulcio's arc of identifiers.
	fulcioExtension = "1.3.6.1.4.1.57264.1."
	oidcIssuer      = "oidcIssuer"
	workflowOwner   = "githubWorkflowRepository"
)

// githubIssuer vouches for workflows of github.com alone, also below it, where
// enterprises have issuers of their own.
const githubIssuer = "https://token.actions.githubusercontent.com"

// extensionNames are Kyverno's and, in order, ours; an extension's identifier
// ends in its place, from 1.
func extensionNames() (kyvernos, ours []string) {
	return []string{oidcIssuer, "githubWorkflowTrigger", "githubWorkflowSha", "githubWorkflowName", workflowOwner, "githubWorkflowRef"},
		[]string{oidcIssuer, "githubWorkflowTrigger", "githubWorkflowSHA", "githubWorkflowName", workflowOwner, "githubWorkflowRef"}
}

// extensions reads what a certificate must state besides, with wildcards.
func (s *signing) extensions(path string, asked map[string]string, issuer who, spec *dialect.KeylessSpec) {
	kyvernos, ours := extensionNames()
	spec.Extensions, spec.ExtensionsRegExp = map[string]string{}, map[string]string{}
	seen := make(map[int]bool, len(asked))
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		at, here := slices.Index(kyvernos, name), path+"."+name
		if number, is := strings.CutPrefix(name, fulcioExtension); is && len(number) == 1 {
			at, here = int(number[0])-'1', path+`["`+name+`"]`
		}
		value, ok := s.text(here, asked[name], s.variables)
		switch {
		case !ok:
		case at < 0 || at >= len(ours):
			s.Near(path, name, kyvernos, "expected %s, or its identifier %s1 to 6; got %q", dialect.Either(kyvernos), fulcioExtension, dialect.Clip(name))
		case seen[at]:
			s.Errorf(here, "expected each extension once, got %s again", kyvernos[at])
		case value == "":
			s.Missing(here, "expected a value, got none")
		case ours[at] == oidcIssuer:
			if issuer.exact == "" || !wild(value, issuer.exact) { // else issuer asks for no less
				s.refuse(here, "another extension states the issuer too: write it as issuer alone")
			}
		case hasWildcard(value):
			spec.ExtensionsRegExp[ours[at]] = expressionOf(value)
		default:
			spec.Extensions[ours[at]] = value
		}
		seen[at] = true
	}
	// Who names the repository names it also for workflows that it calls in another
	// (TRUST R27).
	if name := spec.Extensions[workflowOwner]; name != "" && (issuer.exact == githubIssuer || strings.HasPrefix(issuer.exact, githubIssuer+"/")) {
		spec.SourceRepository = "https://github.com/" + name
	}
}
