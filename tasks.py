from adaf_pipeline.tasks import namespace as _namespace

namespace = _namespace()
