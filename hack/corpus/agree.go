package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// agree asks the tool that knows the format whether it comes to a check's
// outcome too.
func (b *bench) agree(ctx context.Context, image fixture.Image, k fixture.Check) error {
	if k.Digest != "" {
		digest, err := imageref.ParseDigest(k.Digest)
		if err != nil {
			return err
		}
		image.Digest = digest
	}
	var allowed bool
	var err error
	if k.Signer.Store != "" {
		allowed, err = b.notationAllows(ctx, image, k)
	} else {
		allowed, err = b.cosignAllows(ctx, image, k)
	}
	if err != nil {
		return err
	}
	if agrees := allowed == (k.Outcome == "allowed"); agrees != (k.Foreign == "") {
		return fmt.Errorf("expected %s, the tool says allowed: %t", k.Outcome, allowed)
	}
	return nil
}

// cosignAllows lets cosign v2 and v3 look for what came before bundles, and v3
// for bundles where there are any.
func (b *bench) cosignAllows(ctx context.Context, image fixture.Image, k fixture.Check) (bool, error) {
	dir, err := filepath.Abs(b.out)
	if err != nil {
		return false, err
	}
	where := image
	if k.Signer.Repository != "" {
		if where.Reference, err = b.registry.Reference(k.Signer.Repository); err != nil {
			return false, err
		}
	}
	bundles, err := b.registry.HasBundles(ctx, where)
	if err != nil {
		return false, err
	}
	ways, err := k.CosignWays(dir, bundles)
	if err != nil {
		return false, err
	}
	for _, way := range ways {
		tools := []string{"cosign2", "cosign3"}
		if bundles {
			tools = tools[1:] // v2 looks at bundles under all flags, and not at their claims
		}
		for _, tool := range tools {
			out, err := b.execute(ctx, tool, append(slices.Clone(way.Args), image.Pinned().String()), b.placed(k.Signer.Repository)...)
			if b.verbose {
				fmt.Printf("%s %q: %v\n%s\n", tool, way.Args, err, out)
			}
			if err == nil {
				return true, nil
			}
			if !failed(err) {
				return false, err
			}
		}
	}
	return false, ctx.Err()
}

// placed is the environment that sends cosign to another repository.
func (b *bench) placed(folder string) []string {
	if folder == "" {
		return nil
	}
	return []string{"COSIGN_REPOSITORY=" + b.registry.Host() + "/" + folder}
}

// failed reports whether a tool ran and said no.
func failed(err error) bool {
	var exit interface{ ExitCode() int }
	return errors.As(err, &exit) && exit.ExitCode() > 0
}
