// Package bonafide_test holds the rules that no single package can check: which
// package may import which, what the packages at the bottom may link, and that
// each package says what it is for.
package bonafide_test

import (
	"maps"
	"slices"
	"testing"
)

const modulePath = "github.com/bonafide-dev/bonafide"

// The layers, from the bottom. An edge may not run upward. testSupport stands
// apart: tests of every layer may import it, other code only where the table
// says so.
const (
	names = iota
	vocabulary
	verifiers
	decision
	doors
	command
	testSupport
)

// A layer is one package's place and the packages of this module that its code
// may import, relative to the module. Its tests may import these too, the
// package itself, test support, and the packages in tests.
type layer struct {
	level   int
	imports []string
	tests   []string
}

// layers lists every package of the module. Adding a package or an edge is a
// design decision: it is made here, in the same commit.
func layers() map[string]layer {
	return map[string]layer{
		"imageref": {level: names},
		"examples": {level: names}, // files, and their filling in

		"internal/spelling": {level: names},

		"evidence": {level: vocabulary, imports: []string{"imageref"}},
		"policy":   {level: vocabulary, imports: []string{"evidence", "imageref"}},
		"registry": {level: vocabulary, imports: []string{"evidence", "imageref"}},
		"workload": {level: vocabulary, imports: []string{"evidence", "imageref"}},

		"api/v1alpha1":    {level: verifiers},
		"attest":          {level: verifiers, imports: []string{"evidence", "imageref", "policy"}},
		"attest/jmes":     {level: verifiers, imports: []string{"evidence", "imageref", "internal/spelling", "policy"}},
		"dialect":         {level: verifiers, imports: []string{"evidence", "imageref", "internal/spelling", "policy"}},
		"dialect/kyverno": {level: verifiers, imports: []string{"attest/jmes", "dialect", "evidence", "imageref", "policy"}},
		"dialect/native":  {level: verifiers, imports: []string{"api/v1alpha1", "attest", "dialect", "evidence", "imageref", "internal/spelling", "policy"}},
		"dialect/nirmata": {level: verifiers, imports: []string{"dialect", "imageref", "policy"}},
		"notation":        {level: verifiers, imports: []string{"evidence", "imageref", "policy"}, tests: []string{"registry"}},
		"internal/trust":  {level: verifiers, imports: []string{"dialect", "evidence", "policy"}, tests: []string{"registry"}},
		"sigstore":        {level: verifiers, imports: []string{"evidence", "imageref", "policy"}, tests: []string{"registry"}},

		"engine": {level: decision, imports: []string{"evidence", "imageref", "policy", "workload"}},

		"internal/policyset": {level: doors, imports: []string{
			"dialect", "dialect/native", "evidence", "imageref", "internal/spelling", "internal/trust", "notation", "policy", "sigstore",
		}, tests: []string{"examples"}},
		"internal/server": {level: doors, imports: []string{"attest/jmes", "engine", "evidence", "imageref", "policy", "workload"}, tests: []string{
			"dialect", "dialect/native", "dialect/nirmata", "internal/policyset", "registry",
		}},
		"internal/demo": {level: doors, imports: []string{
			"dialect", "dialect/kyverno", "dialect/native", "dialect/nirmata", "engine", "examples", "internal/fixture",
			"internal/policyset", "internal/server", "policy", "registry",
		}},

		"internal/kube/certificates": {level: doors, imports: []string{"internal/kube"}},
		"internal/kube/events":       {level: doors, imports: []string{"internal/kube"}},
		"internal/kube/leader":       {level: doors, imports: []string{"internal/kube"}},
		"internal/kube/registration": {level: doors, imports: []string{"internal/kube"}},
		"internal/kube":              {level: doors},
		"internal/kube/audit":        {level: doors, imports: []string{"engine", "evidence", "imageref", "internal/kube", "internal/kube/reports", "policy", "workload"}, tests: []string{"registry"}},
		"internal/kube/policies":     {level: doors, imports: []string{"api/v1alpha1", "dialect", "evidence", "imageref", "internal/kube", "policy"}, tests: []string{"dialect/kyverno", "dialect/native", "dialect/nirmata", "internal/policyset"}},
		"internal/kube/credentials":  {level: doors, imports: []string{"evidence"}, tests: []string{"imageref", "internal/kube", "registry"}},
		"internal/kube/reports":      {level: doors, imports: []string{"internal/kube"}},
		"internal/cloudkeys":         {level: doors, imports: []string{"evidence", "imageref", "registry"}},
		"cmd/bonafide":               {level: command, imports: []string{anything}},

		"dialect/internal/dialecttest": {level: testSupport, imports: []string{"dialect"}},
		"internal/kube/kubetest":       {level: testSupport, imports: []string{"internal/kube", "internal/rig"}},

		"internal/fixture": {level: testSupport, imports: []string{"imageref"}},
		"internal/rig":     {level: testSupport, imports: []string{"examples", "internal/fixture"}},
		"internal/testca":  {level: testSupport, imports: []string{"evidence", "imageref", "internal/fixture"}},
		"test/bench":       {level: testSupport, imports: []string{anything}},
		"test/cases":       {level: testSupport, imports: []string{anything}},
		"test/cluster":     {level: testSupport, imports: []string{anything}},
		"test/corpus":      {level: testSupport, imports: []string{anything}},
		"test/e2e":         {level: testSupport, imports: []string{anything}},
		"test/install":     {level: testSupport, imports: []string{anything}},
		"test/interop":     {level: testSupport, imports: []string{anything}},
		"test/schema":      {level: testSupport, imports: []string{anything}},

		// Programs of the Makefile and their nested modules' roots.
		"hack/corpus":     {level: testSupport, imports: []string{"imageref", "internal/fixture"}},
		"hack/rig":        {level: testSupport, imports: []string{"internal/rig"}},
		"hack/testreport": {level: testSupport},
		"":                {level: testSupport, tests: []string{anything}}, // rules and documentation of the whole
	}
}

// anything permits every package but those of package main.
const anything = "*"

func TestPackagesImportOnlyWhatTheirLayerPermits(t *testing.T) {
	table := layers()
	for _, p := range readTree(t) {
		own, listed := table[p.path]
		if !listed {
			t.Errorf("package %q is not in the table of layers_test.go: which layer is it of, and what may it import?", p.path)
			continue
		}
		for _, edge := range p.imports {
			if !permitted(own.imports, edge) {
				t.Errorf("%s imports %s, which the table of layers_test.go does not permit: %s may import %q", p.path, edge, p.path, own.imports)
			}
		}
		for _, edge := range p.testImports {
			support := table[edge].level == testSupport && edge != ""
			if edge != p.path && !support && !permitted(own.imports, edge) && !permitted(own.tests, edge) {
				t.Errorf("a test of %s imports %s: beside test support it may import %q and, for tests alone, %q", p.path, edge, own.imports, own.tests)
			}
		}
	}
}

func permitted(list []string, edge string) bool {
	return slices.Contains(list, edge) || slices.Contains(list, anything)
}

// TestTableIsLayered keeps the table itself honest.
func TestTableIsLayered(t *testing.T) {
	table := layers()
	for _, from := range slices.Sorted(maps.Keys(table)) {
		own := table[from]
		for _, to := range own.imports {
			target, listed := table[to]
			switch {
			case to == anything:
			case !listed:
				t.Errorf("%s may import %s, which is not in the table", from, to)
			case target.level == command:
				t.Errorf("%s may import %s: nothing imports a command", from, to)
			case target.level == testSupport:
				if own.level != testSupport && from != "internal/demo" {
					t.Errorf("%s may import %s: only tests and the demo use test support", from, to)
				}
			case target.level > own.level:
				t.Errorf("%s may import %s: that edge runs upward", from, to)
			}
		}
		if !slices.IsSorted(own.imports) {
			t.Errorf("%s: sort the imports", from)
		}
	}
}
