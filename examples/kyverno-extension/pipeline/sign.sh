#!/usr/bin/env bash
# Signs an image and its SBOM with Notation. $IMAGE is registry/name:tag. The
# key is of any Notation plugin, such as venafi-csp:
#   notation key add --default vsign --plugin venafi-csp --id vsign --plugin-config config=/path/to/config.ini
set -euo pipefail

digest=$(oras resolve "$IMAGE")
image=${IMAGE%:*}@$digest
notation sign "$image"

# What the image holds, attached to it, and signed too: an SBOM that nobody
# signed proves nothing.
syft scan "$image" --output cyclonedx-json=sbom.cdx.json
sbom=$(oras attach --artifact-type application/vnd.cyclonedx --format go-template='{{.digest}}' "$image" sbom.cdx.json:application/vnd.cyclonedx+json)
notation sign "${IMAGE%:*}@$sbom"
