package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// TestR48DenyListHoldsAtEveryDoor: what a list names is refused wherever Bonafide
// decides, by a real engine over a real registry, although a policy allows it, an
// exception lifts that policy, or no policy covers it.
func TestR48DenyListHoldsAtEveryDoor(t *testing.T) {
	w := newWorld(t)
	pinned, digest := map[string]string{}, imageref.Digest{}
	for _, name := range []string{"acme/good:v1", "acme/repository:v1", "other/uncovered:v1", "acme/digest:v1"} {
		digest = w.image(name).Digest // in the end the last one's
		pinned[w.Host()+"/"+name] = w.Host() + "/" + name + "@" + digest.String()
	}
	pattern := func(text string) []policy.ImagePattern {
		return []policy.ImagePattern{must[imageref.Pattern](t)(imageref.ParsePattern(w.Host() + "/" + text))}
	}
	allows := func(name, byName string) policy.Policy {
		return policy.Policy{
			Origin: policy.Origin{Kind: "ClusterVerificationPolicy", Name: name}, ByName: byName, Include: pattern("acme/**"), Require: policy.Static{Allow: true},
		}
	}
	list := func(name string, images policy.Images) policy.Denial {
		return policy.Denial{Origin: policy.Origin{Kind: "ImageDenyList", Name: name}, Images: images, Reason: "they mine coins"}
	}
	w.engine.Swap(engine.NewSnapshotOf(engine.Rules{
		Policies: []policy.Policy{allows("all", ""), allows("asked", "tp")},
		Exceptions: []policy.Exception{{
			Origin: policy.Origin{Kind: "VerificationException", Name: "lift"}, Images: policy.Images{Patterns: pattern("acme/**")}, Reason: "a test", Expires: time.Now().Add(time.Hour),
		}},
		Denials: []policy.Denial{
			list("digests", policy.Images{Digests: []imageref.Digest{digest}}), list("repositories", policy.Images{Patterns: pattern("acme/repository")}),
			list("uncovered", policy.Images{Patterns: pattern("other/uncovered")}),
		},
	}))
	doors := map[string]func(image string) (admitted bool, said string){}
	for _, path := range []string{mutateDoor, validateDoor} {
		doors[path] = func(image string) (bool, string) {
			if path == validateDoor { // which refuses what is not pinned
				image = pinned[image]
			}
			r := ask(t, w.server, path, recorded(t, "pod-create", func(review map[string]any) {
				object(review)["spec"] = map[string]any{"containers": []any{map[string]any{"name": "app", "image": image}}}
			}))
			return r.Allowed, answerText(t, r)
		}
	}
	for _, path := range validators() { // mutators leave what is denied to the constraint, which asks these
		doors[path] = func(image string) (bool, string) {
			response := post(w.server.Doors(), path, keys(t, image))
			items := provided(t, response).Response.Items
			if len(items) != 1 {
				t.Fatalf("%s: want one item, got %s", path, response.Body)
			}
			value, _ := items[0].Value.(map[string]any)
			text, _ := items[0].Value.(string)
			verified := items[0].Error == "" && (value["isSuccess"] == true || value["succeeded"] == true || strings.HasSuffix(text, "_valid"))
			return verified, response.Body.String()
		}
	}
	doors[checkDoor] = func(image string) (bool, string) {
		name := strings.TrimPrefix(image, w.Host()+"/")
		response := postCheck(w.server.Doors(), w.body("tp", map[string]string{"main": name}, ""))
		return response.Code == http.StatusOK, response.Body.String()
	}
	for path, asks := range doors {
		t.Run(strings.Trim(path, "/"), func(t *testing.T) {
			for image, want := range map[string]bool{"acme/good:v1": true, "acme/repository:v1": false, "acme/digest:v1": false, "other/uncovered:v1": false} {
				admitted, said := asks(w.Host() + "/" + image)
				if admitted != want {
					t.Errorf("%s: want admitted %t, got %t: %s", image, want, admitted, said)
				}
				if !want && path != cosignValidate && !strings.Contains(said, "they mine coins") {
					t.Errorf("%s: want the reason of the list said, got %s", image, said)
				}
			}
		})
	}
}

func answerText(t *testing.T, answer any) string {
	t.Helper()
	return string(must[[]byte](t)(json.Marshal(answer)))
}
