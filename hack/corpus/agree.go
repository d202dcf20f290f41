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

// cosignAllows lets cosign v2 and v3 look for simple signing, and v3 for
// bundles.
func (b *bench) cosignAllows(ctx context.Context, image fixture.Image, k fixture.Check) (bool, error) {
	key, err := filepath.Abs(filepath.Join(b.out, k.Signer.Key))
	if err != nil {
		return false, err
	}
	args := []string{"verify"}
	if k.Attestation != "" {
		args = []string{"verify-attestation", "--type", k.Attestation}
	}
	args = append(args, "--key", key, "--insecure-ignore-tlog=true", "--allow-http-registry")
	for name, value := range k.Signer.Annotations {
		args = append(args, "-a", name+"="+value)
	}
	// cosign verifies with SHA-256 unless told, whatever it signed with.
	for _, way := range [][2]string{{"cosign2", "false"}, {"cosign3", "false"}, {"cosign3", "true"}} {
		for _, hash := range []string{"sha256", "sha384", "sha512"} {
			_, err := b.execute(ctx, way[0], slices.Concat(args, []string{"--new-bundle-format=" + way[1], "--signature-digest-algorithm", hash, image.Pinned().String()}))
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

// failed reports whether a tool ran and said no.
func failed(err error) bool {
	var exit interface{ ExitCode() int }
	return errors.As(err, &exit) && exit.ExitCode() > 0
}
