package policyset_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// options are those of a program without cluster and without trusted root.
func options() policyset.Options {
	return policyset.Options{Dialects: []dialect.Dialect{native.New(policyset.NewSigners(nil), native.Options{})}}
}

const publicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8nXRh950IZbRj8Ra/N9sbqOPZrfM
5/KAQN0/KjHcorm/J5yctVd7iEcnessRQjU917hmKO6JWVGHpDguIyakZA==
-----END PUBLIC KEY-----
`

const otherKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

// policyText is a policy whose key is in a file beside it.
func policyText(name string) string {
	return "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: " + name + "}\nspec:\n" +
		"  images: ['**']\n  signers: [{name: a, sigstore: {key: {file: release.pub}, transparencyLog: Ignored}}]\n" +
		"  require: [{signature: {anyOf: [a]}}]\n"
}

func write(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		// By renaming, as editors and volumes do.
		if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

func names(set policyset.Set) []string {
	var all []string
	for _, p := range set.Policies {
		all = append(all, p.Origin.String())
	}
	return all
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{
		"policies/b.yaml": policyText("b2") + "---\n" + policyText("b1"), "policies/a.yaml": policyText("a"), "policies/release.pub": publicKey,
		"policies/c.json": `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pull", "namespace": "shop"}, "data": {"x": "aGk="}}`,
	})
	set, err := policyset.Load([]string{filepath.Join(folder, "policies")}, options())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b2", "b1"}, names(set)); diff != "" {
		t.Errorf("policies are in the order of files and documents (-want +got):\n%s", diff)
	}
	if secret, err := set.Objects.Secret("shop", "pull"); err != nil || string(secret.Data["x"]) != "hi" {
		t.Errorf("expected the Secret, got %v, %v", secret, err)
	}
	if got := set.Weakenings(); got != 3 { // transparencyLog: Ignored, of each
		t.Errorf("expected 3 weakenings, got %d", got)
	}
	again, err := policyset.Load([]string{filepath.Join(folder, "policies")}, options())
	if err != nil || again.Digest != set.Digest {
		t.Errorf("expected the same digest of the same content, got %s and %s, %v", set.Digest, again.Digest, err)
	}
}

func TestDigestCoversWhatPoliciesReferTo(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "release.pub": publicKey})
	paths := []string{filepath.Join(folder, "a.yaml")}
	first, err := policyset.Load(paths, options())
	if err != nil {
		t.Fatal(err)
	}
	write(t, folder, map[string]string{"release.pub": otherKey})
	second, err := policyset.Load(paths, options())
	if err != nil {
		t.Fatal(err)
	}
	id := func(s policyset.Set) policy.SignerID {
		return policy.Signatures(s.Policies[0].Require)[0].Signer.ID()
	}
	if first.Digest == second.Digest || id(first) == id(second) {
		t.Errorf("expected another digest and signer for another key, got %s, %s", second.Digest, id(second))
	}
}

func TestNoPathsAreNoPolicies(t *testing.T) {
	set, err := policyset.Load(nil, options())
	if err != nil || len(set.Policies) != 0 {
		t.Errorf("expected an empty set, got %v, %v", names(set), err)
	}
}

func TestR48PathsWithoutPolicyAreErrors(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"OnlySecrets":   {"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n"},
		"EmptyFile":     {"a.yaml": "", "b.yaml": policyText("b"), "release.pub": publicKey},
		"OnlyComments":  {"a.yaml": "# later\n"},
		"NoPolicyFiles": {"README.md": "x"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, files)
			if set, err := policyset.Load([]string{folder}, options()); err == nil || len(set.Policies) > 0 {
				t.Errorf("expected an error, got the policies %v", names(set))
			}
		})
	}
}

// TestR19BrokenSetLoadsNotAtAll: one file that is wrong is not passed over.
func TestR19BrokenSetLoadsNotAtAll(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "b.yaml": "kind: [", "c.yaml": strings.Replace(policyText("c"), "mode", "mod", 1) + "  mod: Audit\n", "release.pub": publicKey})
	set, err := policyset.Load([]string{folder, filepath.Join(folder, "absent.yaml")}, options())
	var all dialect.Errors
	if !errors.As(err, &all) || len(set.Policies) != 0 {
		t.Fatalf("expected errors alone, got %v, %v", names(set), err)
	}
	var files []string
	for _, e := range all {
		files = append(files, filepath.Base(e.File))
	}
	if diff := cmp.Diff([]string{"absent.yaml", "b.yaml", "c.yaml"}, files); diff != "" {
		t.Errorf("every file's errors are reported (-want +got):\n%s", diff)
	}
}

// TestSignersNameTheField compares what the verifiers refuse, and where that
// was written, with the text beside each file.
func TestSignersNameTheField(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), ".yaml")
		if !is {
			continue
		}
		t.Run(name, func(t *testing.T) {
			_, err := policyset.Load([]string{filepath.Join("testdata", entry.Name())}, options())
			if err == nil {
				t.Fatal("expected errors, got none")
			}
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatalf("run the test with -update to write it: %v", readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
