package audit

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bonafide-dev/bonafide/imageref"
)

// statusLists are the lists of a Pod's status, by the list of its spec.
var statusLists = [...][2]string{
	{"containers", "containerStatuses"}, {"initContainers", "initContainerStatuses"}, {"ephemeralContainers", "ephemeralContainerStatuses"},
}

// imageIDs returns what kubelet says that each container runs, by list and name.
func imageIDs(root map[string]any) map[string]string {
	found := map[string]string{}
	for _, l := range statusLists {
		value, _, err := unstructured.NestedFieldNoCopy(root, "status", l[1])
		if err != nil { // there is nothing to compare with
			continue
		}
		entries, _ := value.([]any)
		for _, entry := range entries {
			status, _ := entry.(map[string]any)
			name, _ := status["name"].(string)
			if id, _ := status["imageID"].(string); name != "" && id != "" {
				found[l[0]+"/"+name] = id
			}
		}
	}
	return found
}

// runningDigest reads the digest of a status's imageID, which kubelet takes from
// the container runtime: "docker-pullable://repo@sha256:…" or
// "repo@sha256:…", where the digest is that of the manifest or index that was
// pulled. A digest alone is the image's configuration, which no reference
// names, so that it cannot be compared: false.
//
// The repository is not read: runtimes name any under which they have seen the
// content.
func runningDigest(imageID string) (imageref.Digest, bool) {
	_, text, found := strings.Cut(imageID, "@")
	if !found {
		return imageref.Digest{}, false
	}
	digest, err := imageref.ParseDigest(text)
	return digest, err == nil
}
