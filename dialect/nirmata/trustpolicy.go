package nirmata

import (
	"maps"
	"slices"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Bounds of a TrustPolicy: each statement, scope, store and identity is looked
// at for each image.
const (
	maxStatements = 1000
	maxScopes     = 1000
	maxStores     = 20
	maxIdentities = 100
)

const documentVersion = "1.0"

// trustPolicy compiles a TrustPolicy.
func (r *reader) trustPolicy() []policy.Policy {
	var d trustPolicyDocument
	if !r.decode(&d) {
		return nil
	}
	spec := d.Spec
	if spec.Version != documentVersion {
		r.Errorf("spec.version", "expected %q, got %q", documentVersion, dialect.Clip(spec.Version))
	}
	r.name("spec.trustPolicyName", spec.TrustPolicyName)
	if other, found := r.policies[spec.TrustPolicyName]; found && other.Name != r.Document.Name {
		r.Errorf("spec.trustPolicyName", "expected each name once, got %q again: it is in %s", dialect.Clip(spec.TrustPolicyName), other.Place())
	}
	const path = "spec.trustPolicies"
	if n := len(spec.TrustPolicies); n == 0 || n > maxStatements {
		r.Errorf(path, "expected one to %d statements, got %d", maxStatements, n)
		return nil
	}
	scopes := r.scopes(path, spec.TrustPolicies)
	names := map[string]int{}
	var compiled []policy.Policy
	for i := range spec.TrustPolicies {
		s, here := &spec.TrustPolicies[i], dialect.At(path, i)
		if s.Name == "" || len(s.Name) > maxName {
			r.Errorf(here+".name", "expected a name of at most %d bytes, got %q", maxName, dialect.Clip(s.Name))
		}
		if j, twice := names[s.Name]; twice {
			r.Errorf(here+".name", "expected each name once, got %q again: it is %s", dialect.Clip(s.Name), dialect.At(path, j))
		}
		names[s.Name] = i
		p := r.statement(here, s)
		p.Notes, r.Notes = r.Notes, nil // of this statement
		p.ByName = spec.TrustPolicyName
		p.Include, p.Exclude = scopes[i].include, scopes[i].exclude
		compiled = append(compiled, p)
	}
	return compiled
}

// selection is which images a statement judges.
type selection struct{ include, exclude []policy.ImagePattern }

// scopes reads the registryScopes of all statements: each repository is one
// statement's, and "*" is what no other statement names
// (trust-store-trust-policy.md, "Trust Policy Properties").
func (r *reader) scopes(path string, statements []statement) []selection {
	owner := map[imageref.Repository]int{}
	selections := make([]selection, len(statements))
	wildcard := -1
	for i, s := range statements {
		here := dialect.At(path, i) + ".registryScopes"
		if n := len(s.RegistryScopes); n == 0 || n > maxScopes {
			r.Errorf(here, "expected one to %d scopes, got %d", maxScopes, n)
			continue
		}
		if slices.Contains(s.RegistryScopes, anyScope) {
			switch {
			case len(s.RegistryScopes) > 1:
				r.Errorf(here, "expected %q alone, got it beside others", anyScope)
			case wildcard >= 0:
				r.Errorf(here, "expected %q in one statement, got it again: it is in %s", anyScope, dialect.At(path, wildcard))
			default:
				wildcard = i
			}
			continue
		}
		for j, text := range s.RegistryScopes {
			repository, ok := r.scope(dialect.At(here, j), text)
			if !ok {
				continue
			}
			if other, twice := owner[repository]; twice {
				r.Errorf(dialect.At(here, j), "expected each repository once, got %q again: it is in %s", repository, dialect.At(path, other))
				continue
			}
			owner[repository] = i
			selections[i].include = append(selections[i].include, repositoryScope(repository))
		}
	}
	if wildcard < 0 {
		return selections
	}
	selections[wildcard].include = []policy.ImagePattern{everyScope{}}
	for _, repository := range slices.SortedFunc(maps.Keys(owner), compareRepositories) {
		selections[wildcard].exclude = append(selections[wildcard].exclude, repositoryScope(repository))
	}
	return selections
}
