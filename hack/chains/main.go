// Command chains records what Tekton Chains writes: it gives Chains' own code
// TaskRuns and PipelineRuns that have built small images, and saves the
// repository that comes of it, images, signatures and attestations, as an OCI
// image layout. It is a module of its own: nothing of Chains is linked into
// Bonafide.
//
//	go run . -out ../../test/e2e/testdata/chains
//
// The keys are made anew each time, and their private halves are not kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// repository is where the builds push. No host of the name is contacted.
const repository = "registry.example.com/tekton/app"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := flag.String("out", "", "the folder to write; what it holds is replaced")
	flag.Parse()
	if *out == "" {
		return errors.New("expected -out")
	}
	scratch, err := os.MkdirTemp("", "chains")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := os.RemoveAll(*out); err != nil {
		return err
	}
	stayInProcess()
	keys := map[string]key{}
	for _, n := range []string{chainsKey, strangerKey} {
		if keys[n], err = newKey(scratch, n); err != nil {
			return err
		}
	}
	for _, c := range cases() {
		if err := c.record(ctx, keys); err != nil {
			return fmt.Errorf("%s: %w", c.tag, err)
		}
	}
	if err := save(ctx, filepath.Join(*out, "layout")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*out, chainsKey+".pub"), keys[chainsKey].public, 0o644) //nolint:gosec // test data is for everyone
}

// record pushes an image and has Chains sign it, then attest each build of it.
func (c buildCase) record(ctx context.Context, keys map[string]key) error {
	digest, err := push(ctx, c.tag)
	if err != nil {
		return err
	}
	// A run of a Task that tells its image is how Chains comes to sign the image.
	if err := (build{kind: taskRun}).sign(ctx, digest, keys[chainsKey]); err != nil {
		return fmt.Errorf("sign the image: %w", err)
	}
	for _, b := range c.builds {
		if err := b.sign(ctx, digest, keys[b.signer()]); err != nil {
			return fmt.Errorf("attest %s in %s: %w", b.kind, b.format, err)
		}
	}
	return nil
}

// push pushes an image of one layer, its own tag.
func push(ctx context.Context, tag string) (string, error) {
	ref, err := name.NewTag(repository + ":" + tag)
	if err != nil {
		return "", err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(base, static.NewLayer([]byte(tag), types.OCIUncompressedLayer))
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// save writes everything that the repository tags as an OCI image layout.
func save(ctx context.Context, folder string) error {
	repo, err := name.NewRepository(repository)
	if err != nil {
		return err
	}
	tags, err := remote.List(repo, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	slices.Sort(tags)
	to, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		image, err := remote.Image(repo.Tag(tag), remote.WithContext(ctx))
		if err != nil {
			return err
		}
		named := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})
		if err := to.AppendImage(image, named, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"})); err != nil {
			return err
		}
	}
	return nil
}
