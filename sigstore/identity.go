package sigstore

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxPattern bounds a regular expression. Those of policies name a workflow or
// an address.
const maxPattern = 1 << 10

// Match is a text that must be equal, or an expression that must match. It is
// immutable; the zero Match is no condition and matches nothing.
type Match struct {
	kind matchKind
	text string
	re   *regexp.Regexp
}

type matchKind uint8

const (
	matchExactly matchKind = iota + 1
	matchWhole
	matchPart
)

// Exactly matches the text alone; an empty text is no condition.
func Exactly(text string) Match {
	if text == "" {
		return Match{}
	}
	return Match{kind: matchExactly, text: text}
}

// Matching matches what the RE2 expression matches as a whole (TRUST R14).
func Matching(expression string) (Match, error) {
	return matchOf(matchWhole, expression, "^(?:"+expression+")$")
}

// Containing matches what has a part that the RE2 expression matches: for
// dialects that document it so.
func Containing(expression string) (Match, error) {
	return matchOf(matchPart, expression, expression)
}

func matchOf(kind matchKind, expression, anchored string) (Match, error) {
	if expression == "" || len(expression) > maxPattern {
		return Match{}, fmt.Errorf("expected a regular expression of 1 to %d bytes, got %d", maxPattern, len(expression))
	}
	// By itself it must be one: an unbalanced one could undo the anchors.
	if _, err := regexp.Compile(expression); err != nil {
		return Match{}, fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	re, err := regexp.Compile(anchored)
	if err != nil {
		return Match{}, fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	return Match{kind: kind, text: expression, re: re}, nil
}

// IsZero reports whether the Match is no condition.
func (m Match) IsZero() bool { return m.kind == 0 }

func (m Match) matches(text string) bool {
	switch m.kind {
	case matchExactly:
		return m.text == text
	case matchWhole, matchPart:
		return m.re.MatchString(text)
	}
	return false
}

// String returns the text in quotes, or the expression between slashes.
func (m Match) String() string {
	if m.kind == matchExactly {
		return fmt.Sprintf("%q", m.text)
	}
	return "/" + m.text + "/"
}

func (m Match) identify(h *hasher) { h.add(fmt.Sprint(m.kind), m.text) }

// strangers are identities that nobody means who writes a pattern for somebody:
// of each kind that Fulcio certifies, in names that are nobody's.
var strangers = [...]string{
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/release.yml@refs/heads/main",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/release.yaml@refs/tags/v1.0.0",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/build.yml@refs/heads/main",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/build.yaml@refs/heads/master",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/ci.yml@refs/heads/main",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/main.yml@refs/heads/main",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/publish.yml@refs/tags/v1.0.0",
	"https://github.com/q7zx-nobody/w4kk-nothing/.github/workflows/q7zx.yml@refs/heads/q7zx",
	"https://gitlab.com/q7zx-nobody/w4kk-nothing//.gitlab-ci.yml@refs/heads/main",
	"https://gitlab.com/q7zx-nobody/w4kk-nothing//.gitlab-ci.yml@refs/tags/v1.0.0",
	"https://agent.buildkite.com/q7zx-nobody/w4kk-nothing",
	"https://circleci.com/api/v2/projects/0b9f9b9e-7d1b-4c0b-9b66-0b9f9b9e7d1b/pipeline-definitions/5d0c2e4a-2b71-4c7e-8a39-5d0c2e4a2b71",
	"https://kubernetes.io/namespaces/q7zx-nobody/serviceaccounts/w4kk-nothing",
	"spiffe://q7zx-nobody.w4kk-nothing/ns/q7zx/sa/q7zx",
	"q7zx-nobody@w4kk-nothing.example",
	"q7zx-nobody",
}

// strangeIssuers are OIDC issuers that nobody means.
var strangeIssuers = [...]string{"https://q7zx-nobody.w4kk-nothing.example", "https://token.q7zx-nobody.example/w4kk"}

// admitsStrangers reports whether an expression matches identities whoever's
// they are (TRUST R14).
func (m Match) admitsStrangers(identities []string) bool {
	return m.kind != matchExactly && slices.ContainsFunc(identities, m.matches)
}

// Identity is whom a certificate of a Fulcio authority must name, and who must
// have vouched for it.
type Identity struct {
	// Issuer is the OIDC issuer and Subject the subject alternative name. Both
	// are needed (TRUST R27).
	Issuer, Subject Match
	// AnySubject admits patterns that match every identity of an issuer, or every
	// issuer, and no Subject.
	AnySubject bool
	// SourceRepository is the URI of the repository that the certificate must say
	// was built. It is needed where the subject's workflow is another
	// repository's (TRUST R27).
	SourceRepository string
	// Extensions are further facts that the certificate must state, by the names
	// that [ExtensionNames] returns.
	Extensions map[string]Match
}

// namesSource reports whether one repository is named that was built: nobody else
// runs workflows for it, whoever wrote them.
func (i Identity) namesSource() bool {
	return i.SourceRepository != "" || i.Extensions[extensionSource].kind == matchExactly
}

func (i Identity) check() error {
	switch {
	case i.Issuer.IsZero():
		return errors.New("issuer: expected the OIDC issuer that vouches for the identity, got none")
	case i.Subject.IsZero() && !i.AnySubject:
		return errors.New("subject: expected an identity, got none")
	case !i.AnySubject && i.Issuer.admitsStrangers(strangeIssuers[:]):
		return fmt.Errorf("issuer: expected a pattern that does not admit every issuer, got %s", i.Issuer)
	case !i.AnySubject && (i.Subject.admitsStrangers(strangers[:]) || !i.namesSource() && i.Subject.admitsAnyOwner()):
		return fmt.Errorf("subject: expected a pattern that does not admit everybody's identities, got %s", i.Subject)
	}
	for _, name := range slices.Sorted(maps.Keys(i.Extensions)) {
		if !slices.Contains(ExtensionNames(), name) {
			return fmt.Errorf("extensions: expected one of %s, got %q", strings.Join(ExtensionNames(), ", "), name)
		}
		if i.Extensions[name].IsZero() {
			return fmt.Errorf("extensions: expected a value of %s, got none", name)
		}
	}
	return nil
}

func (i Identity) identify(h *hasher) {
	i.Issuer.identify(h)
	i.Subject.identify(h)
	h.add(fmt.Sprint(i.AnySubject), i.SourceRepository, fmt.Sprint(len(i.Extensions)))
	for _, name := range slices.Sorted(maps.Keys(i.Extensions)) {
		h.add(name)
		i.Extensions[name].identify(h)
	}
}

// describe returns the identity and who vouches for it.
func (i Identity) describe() string {
	subject := "any identity"
	if !i.Subject.IsZero() {
		subject = i.Subject.String()
	}
	return subject + " by issuer " + i.Issuer.String()
}

// compare compares what a certificate states with what is asked.
func (i Identity) compare(f facts) error {
	found := fmt.Sprintf("%s by issuer %s", quote(f.identity), quote(f.issuer))
	if !i.Issuer.matches(f.issuer) || (!i.Subject.IsZero() && !i.Subject.matches(f.identity)) {
		return &evidence.Problem{Reason: evidence.IdentityMismatch, Expected: i.describe(), Got: found}
	}
	if err := i.checkSource(f); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(i.Extensions)) {
		want, got := i.Extensions[name], f.extensions[name]
		if got == "" || !want.matches(got) {
			problem := &evidence.Problem{Reason: evidence.IdentityMismatch, Expected: fmt.Sprintf("%s with %s %s", i.describe(), name, want), Got: "none"}
			if got != "" {
				problem.Got = quote(got)
			}
			return problem
		}
	}
	return nil
}

// checkSource compares the repository that was built with the one that is asked,
// or with the one whose workflow signed: a workflow that other repositories may
// call signs for whoever calls it (TRUST R27).
func (i Identity) checkSource(f facts) error {
	source := f.extensions[extensionSource]
	problem := &evidence.Problem{Reason: evidence.IdentityMismatch, Got: "source repository " + quote(source)}
	if i.SourceRepository != "" {
		if source == i.SourceRepository {
			return nil
		}
		problem.Expected = i.describe() + " with source repository " + quote(i.SourceRepository)
		if source == "" {
			problem.Got = "none"
		}
		return problem
	}
	if want := i.Extensions[extensionSource]; want.kind == matchExactly && want.text == source {
		return nil
	}
	if source == "" || strings.HasPrefix(f.identity, source+"/") {
		return nil
	}
	problem.Expected = "a source repository that is the identity's own, or that the policy names (sourceRepository)"
	problem.Got += " with identity " + quote(f.identity)
	return problem
}
