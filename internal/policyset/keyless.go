package policyset

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/spelling"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// Keyless implements [dialect.Signers].
func (s Signers) Keyless(spec dialect.KeylessSpec) (policy.Signer, error) {
	identity, err := s.identity(spec)
	if err != nil {
		return nil, err
	}
	c, err := s.common(spec.SigstoreSpec)
	if err != nil {
		return nil, err
	}
	if c.options.TrustedRoot == nil {
		return nil, field(dialect.FieldTrustedRoot, errors.New("expected a trusted root with a certificate authority, of the signer or of the operator, got none"))
	}
	options := sigstore.KeylessOptions{CTLog: sigstore.LogIgnored}
	build := func(o sigstore.Options) (*sigstore.Signer, error) {
		options.Options = o
		return sigstore.NewKeyless(identity, options)
	}
	if err := c.hasAuthority(build); err != nil {
		return nil, field(dialect.FieldTrustedRoot, err)
	}
	if _, err := build(c.asking(c.log, sigstore.TimestampsIfPresent)); err != nil {
		return nil, field(dialect.FieldTransparencyLog, err)
	}
	if options.CTLog = sigstore.LogRequired; spec.CTLogIgnored {
		options.CTLog = sigstore.LogIgnored
	}
	if _, err := build(c.asking(c.log, sigstore.TimestampsIfPresent)); err != nil {
		return nil, field(dialect.FieldCTLog, err)
	}
	made, err := c.steps(build)
	if err != nil {
		return nil, err
	}
	return c.known(spec, made), nil
}

// hasAuthority refuses a trusted root with which no keyless signature could
// ever verify: without a certificate authority, or without anything to prove when
// a signature was made.
func (c common) hasAuthority(build func(sigstore.Options) (*sigstore.Signer, error)) error {
	_, err := build(c.asking(c.log, sigstore.TimestampsIfPresent))
	if err == nil {
		return nil
	}
	for _, log := range []sigstore.Log{sigstore.LogRequired, sigstore.LogIgnored} {
		if _, other := build(c.asking(log, sigstore.TimestampsIfPresent)); other == nil {
			return nil // it is the choice of log that does not fit
		}
	}
	return err
}

// identity checks whom a policy means with a trusted root that has everything:
// what is wrong with the signer's own is said of that.
func (s Signers) identity(spec dialect.KeylessSpec) (sigstore.Identity, error) {
	expression := sigstore.Matching
	if spec.PartialMatch {
		expression = sigstore.Containing
	}
	issuer, err := matchOf(spec.Issuer, spec.IssuerRegExp, expression)
	if err != nil {
		return sigstore.Identity{}, field(dialect.FieldIssuer, err)
	}
	subject, err := matchOf(spec.Subject, spec.SubjectRegExp, expression)
	if err != nil {
		return sigstore.Identity{}, field(dialect.FieldSubject, err)
	}
	root, err := s.publicGood()
	if err != nil {
		return sigstore.Identity{}, err
	}
	check := func(i sigstore.Identity) error {
		_, err := sigstore.NewKeyless(i, sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: root}})
		return err
	}
	i := sigstore.Identity{Issuer: issuer, Subject: sigstore.Exactly("somebody"), AnySubject: spec.AnySubject, SourceRepository: spec.SourceRepository}
	if err := check(i); err != nil {
		return sigstore.Identity{}, field(dialect.FieldIssuer, err)
	}
	i.Subject = subject
	if err := check(i); err != nil {
		return sigstore.Identity{}, field(dialect.FieldSubject, err)
	}
	if i.Extensions, err = extensionsOf(spec, expression); err == nil {
		err = check(i)
	}
	if err != nil {
		return sigstore.Identity{}, field(dialect.FieldExtensions, err)
	}
	return i, nil
}

// matchOf returns what one of a pair of fields asks for: none of both is no
// condition.
func matchOf(text, expression string, parse func(string) (sigstore.Match, error)) (sigstore.Match, error) {
	switch {
	case text != "" && expression != "":
		return sigstore.Match{}, errors.New("expected a text or a regular expression, got both")
	case expression != "":
		return parse(expression)
	}
	return sigstore.Exactly(text), nil
}

func extensionsOf(spec dialect.KeylessSpec, expression func(string) (sigstore.Match, error)) (map[string]sigstore.Match, error) {
	all := make(map[string]sigstore.Match, len(spec.Extensions)+len(spec.ExtensionsRegExp))
	for _, name := range slices.Concat(slices.Sorted(maps.Keys(spec.Extensions)), slices.Sorted(maps.Keys(spec.ExtensionsRegExp))) {
		if err := knownExtension(name); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Extensions)) {
		all[name] = sigstore.Exactly(spec.Extensions[name])
	}
	for _, name := range slices.Sorted(maps.Keys(spec.ExtensionsRegExp)) {
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("%s: expected a text or a regular expression, got both", name)
		}
		match, err := expression(spec.ExtensionsRegExp[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = match
	}
	return all, nil
}

func knownExtension(name string) error {
	names := sigstore.ExtensionNames()
	if slices.Contains(names, name) {
		return nil
	}
	meant := ""
	if nearest := spelling.Nearest(name, names); nearest != "" {
		meant = fmt.Sprintf("; did you mean %q?", nearest)
	}
	return fmt.Errorf("expected one of %s, got %q%s", strings.Join(names, ", "), dialect.Clip(name), meant)
}
