package notation

import (
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/bonafide-dev/bonafide/evidence"
)

// payloadType is the one type of payload (signature-specification.md,
// "Payload").
const payloadType = "application/vnd.cncf.notary.payload.v1+json"

// target is the image that a signature says it is for. Its annotations, the
// signer's own metadata, bind nothing.
type target struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// target reads the envelope's payload, verified or not.
func (e *envelope) target() (target, error) {
	var payload struct {
		TargetArtifact *target `json:"targetArtifact"`
	}
	if err := evidence.DecodeJSON(e.payload, &payload); err != nil {
		return target{}, err
	}
	if payload.TargetArtifact == nil {
		return target{}, errors.New("expected a targetArtifact, got none")
	}
	return *payload.TargetArtifact, nil
}

// names reports whether t is the descriptor that was computed from the image's
// bytes (TRUST R21).
func (t target) names(want ocispec.Descriptor) bool {
	return t.MediaType == want.MediaType && t.Digest == want.Digest.String() && t.Size == want.Size
}

// String is t for messages; it is hostile.
func (t target) String() string {
	return fmt.Sprintf("%s of type %q and %d bytes", clip(printable(t.Digest)), clip(t.MediaType), t.Size)
}
