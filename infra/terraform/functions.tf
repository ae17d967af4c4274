# Functions: each with its own service account, which has only the rights that the
# manifest's entry names (rights.tf).
resource "google_service_account" "function" {
  for_each     = local.functions
  account_id   = "function-${each.key}"
  display_name = "function ${each.key}"
  description  = each.value.summary

  depends_on = [google_project_service.this]
}

locals {
  # The address that Cloud Run gives a service in this region.
  function_address = "https://{function}-${data.google_project.this.number}.${var.region}.run.app"

  # Settings whose values follow from the deployment itself.
  computed_settings = {
    GOOGLE_CLOUD_PROJECT      = var.project_id
    SUPABASE_URL              = var.supabase_url
    PUBLIC_BASE_URL           = "https://${var.domain}"
    VIDEO_BUCKET              = "gs://${google_storage_bucket.videos.name}"
    SCHEDULER_LOCATION        = var.region
    SCHEDULER_TARGET          = local.function_address
    SCHEDULER_SERVICE_ACCOUNT = google_service_account.caller["schedule"].email
    # The load balancer appends the visitor's address and its own to X-Forwarded-For:
    # the visitor's is the second from the end.
    TRUSTED_PROXIES = "2"
  }
  settings = merge(
    length(var.cors_origins) > 0 ? { CORS_ORIGINS = join(",", var.cors_origins) } : {},
    length(local.uses["firestore"]) > 0 ? { FIRESTORE_PROJECT = var.project_id } : {},
    var.settings, local.computed_settings,
  )

  memory_mib = {
    for name, f in local.functions : name =>
    endswith(f.memory, "Gi") ? tonumber(trimsuffix(f.memory, "Gi")) * 1024 : tonumber(trimsuffix(f.memory, "Mi"))
  }

  # What a function finds in its environment. A secret's value is its resource name:
  # the function reads the secret itself, with its own rights, so that a value stands
  # neither here nor in the revision.
  environment = {
    for name, f in local.functions : name => merge(
      { for s in f.settings : s => local.settings[s] if contains(keys(local.settings), s) },
      { for s in local.secrets_of[name] : s => google_secret_manager_secret.deployment[s].id },
      # The garbage collector works harder from here on, well before the container's end.
      { GOMEMLIMIT = "${floor(local.memory_mib[name] * 0.9)}MiB", CLOUD_RUN_TIMEOUT_SECONDS = trimsuffix(f.timeout, "s") },
      # One more than the instance has: beside a large body that is decoded the system, and
      # not Go's own scheduler, shares the processor out, within a millisecond and not ten.
      { GOMAXPROCS = "${ceil(tonumber(f.cpu)) + 1}" },
    )
  }
}

resource "google_cloud_run_v2_service" "function" {
  for_each            = local.deployed
  name                = each.key
  location            = var.region
  description         = each.value.summary
  deletion_protection = var.deletion_protection

  # Strangers reach HTTP functions through the load balancer only, and each of those
  # verifies its caller itself (Supabase's token, a signature, a publishable key):
  # Cloud Run's own check wants a Google token and refuses browsers' preflights.
  # It stays on for all others, which this project's Pub/Sub and Scheduler call.
  ingress              = each.value.ingress == "load-balancer" ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  invoker_iam_disabled = each.value.trigger == "http"

  build_config {
    source_location          = "gs://${google_storage_bucket_object.first[each.key].bucket}/${google_storage_bucket_object.first[each.key].name}"
    function_target          = each.key
    image_uri                = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.functions.repository_id}/${each.key}"
    base_image               = "${var.region}-docker.pkg.dev/serverless-runtimes/${var.base_image}"
    enable_automatic_updates = true
    service_account          = google_service_account.builder.id
  }

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = each.value.timeout
    max_instance_request_concurrency = each.value.concurrency

    scaling {
      min_instance_count = each.value.min_instances
      max_instance_count = each.value.max_instances
    }

    containers {
      image = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.functions.repository_id}/${each.key}"

      resources {
        limits            = { cpu = each.value.cpu, memory = each.value.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.environment[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      # A function without its settings listens and answers 503: it must not get
      # traffic. There is no liveness probe: a database that is down for a minute is
      # no reason to restart every instance.
      startup_probe {
        period_seconds    = 10
        timeout_seconds   = 6
        failure_threshold = 6
        http_get {
          path = "/health"
        }
      }
    }
  }

  lifecycle {
    # What infra/deploy changes: code, and the share of traffic that a revision has.
    ignore_changes = [
      build_config,
      client,
      client_version,
      template[0].containers[0].image,
      template[0].containers[0].base_image_uri,
      traffic,
    ]
  }

  depends_on = [
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder_logs,
    google_secret_manager_secret_iam_member.reader,
    google_storage_bucket_iam_member.builder_source,
  ]
}
