package workload

// csiImageDrivers are the CSI drivers that mount an image which an inline
// volume names, and the volume attribute that names it. It is never written to.
var csiImageDrivers = map[string]string{
	// warm-metal/container-image-csi-driver, under both of its names
	"csi-image.warm-metal.tech":  "image",
	"container-image.csi.k8s.io": "image",
	// kubernetes-csi/csi-driver-image-populator
	"image.csi.k8s.io": "image",
	// modelpack/model-csi-driver
	"model.csi.modelpack.org": "model.csi.modelpack.org/reference",
}

// volumes is the list of a Pod's spec that may name images without running
// them.
const volumes = "volumes"

// containerLists are the lists whose images run, in the order in which they
// start and in which they are returned.
var containerLists = [...]string{"initContainers", "containers", "ephemeralContainers"}

// podSpec reads what a Pod's spec holds.
func (w *walker) podSpec(o *Object, spec object) {
	o.ServiceAccount = w.text(spec, "serviceAccountName")
	if deprecated := w.text(spec, "serviceAccount"); o.ServiceAccount == "" {
		o.ServiceAccount = deprecated
	}
	for _, secret := range w.objects(spec, "imagePullSecrets") {
		if name := w.text(secret, "name"); name != "" {
			o.PullSecrets = append(o.PullSecrets, name)
		}
	}
	for _, list := range containerLists {
		for _, container := range w.objects(spec, list) {
			o.Images = append(o.Images, w.image(list, w.text(container, "name"), container, "image"))
		}
	}
	for _, volume := range w.objects(spec, volumes) {
		w.volume(o, volume)
	}
}

// image reads the member that holds an image's reference.
func (w *walker) image(list, name string, holder object, member string) Image {
	return Image{Name: name, List: list, Pointer: holder.at(member), Ref: w.text(holder, member)}
}

// volume reads an image volume, or an inline CSI volume whose driver mounts an
// image. The API server refuses a volume that is both; if one came, both count.
func (w *walker) volume(o *Object, volume object) {
	name := w.text(volume, "name")
	if volume.has("image") {
		image := w.image(volumes, name, w.required(volume, "image"), "reference")
		if image.Ref != "" || o.isPod() {
			o.Images = append(o.Images, image)
		}
	}
	if !volume.has("csi") {
		return
	}
	csi := w.required(volume, "csi")
	if attribute, known := csiImageDrivers[w.text(csi, "driver")]; known {
		o.Images = append(o.Images, w.image(volumes, name, w.optional(csi, "volumeAttributes"), attribute))
	}
}
