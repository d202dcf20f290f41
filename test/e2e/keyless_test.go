package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

const keylessPolicy = `apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: keyless}
spec:
  images: [%[1]q]
  signers:
  - name: ci
    sigstore:
      github: {repository: acme/app, workflow: release.yml, ref: refs/heads/main}
      trustedRoot: {tuf: {mirror: %[2]q, root: {file: root.json}}}
  require:
  - signature: {anyOf: [ci]}
`

// The whole way of a keyless signature, with a private Sigstore whose TUF mirror
// is down when the server starts: its images are undecided until the mirror has
// answered, then admitted by the workflow's identity, without a restart.
func TestKeylessWithATrustedRootFromAMirror(t *testing.T) {
	private := testca.New(t, testca.Options{Whole: true})
	mirror := testca.NewTUF(t, testca.TUFOptions{TrustedRoot: private.TrustedRoot()})
	mirror.FailAll(testca.Missing)
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	sign := func(name, repository string) fixture.Image {
		image := rig.Push(t, store, name)
		workflow := private.Issue(t, testca.GitHub(repository, "release.yml", "refs/heads/main"))
		bundle := workflow.Bundle(fixture.BundleOptions{LogEntries: private.LogEntries()})
		if _, err := store.SignBundle(t.Context(), image, workflow.Key, bundle); err != nil {
			t.Fatal(err)
		}
		return image
	}
	signed, foreign := sign("acme/app:signed", "acme/app"), sign("acme/app:foreign", "acme/other")
	unsigned := rig.Push(t, store, "acme/app:unsigned")

	folder := t.TempDir()
	for name, content := range map[string][]byte{
		"policy.yaml": fmt.Appendf(nil, keylessPolicy, store.Host()+"/**", mirror.URL()), "root.json": mirror.Root(),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{registry: store}
	w.bonafide = shared.StartBonafide(t, rig.BonafideOptions{
		Policies: filepath.Join(folder, "policy.yaml"), Registry: store.Host(),
		Flags: []string{"--insecure-registry", strings.TrimPrefix(mirror.URL(), "http://")},
		Env:   []string{"BONAFIDE_CACHE_DIR=" + t.TempDir()},
	})
	cluster, namespace := w.guarded(t)

	_, err := cluster.CreatePod(t.Context(), namespace, signed.Reference.String())
	rig.WantRefused(t, err, "trusted root", mirror.URL())
	mirror.FailAll(testca.Healthy)
	var stored string
	rig.Eventually(t, "the mirror is asked again", func(ctx context.Context) error {
		stored, err = cluster.CreatePod(ctx, namespace, signed.Reference.String())
		return err
	})
	if want := signed.Reference.String() + "@" + signed.Digest.String(); stored != want {
		t.Errorf("want %s pinned, got %s", want, stored)
	}
	_, err = cluster.CreatePod(t.Context(), namespace, foreign.Reference.String())
	rig.WantRefused(t, err, `expected /https://github\.com/acme/app/`, `got "https://github.com/acme/other/.github/workflows/release.yml@refs/heads/main"`)
	_, err = cluster.CreatePod(t.Context(), namespace, unsigned.Reference.String())
	rig.WantRefused(t, err, "no signature")

	mirror.FailAll(testca.Missing) // the last good root stays in use
	if _, err := cluster.CreatePod(t.Context(), namespace, signed.Reference.String()); err != nil {
		t.Errorf("want it admitted while the mirror is down, got %v", err)
	}
}
