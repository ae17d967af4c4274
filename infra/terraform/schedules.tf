# One job for each scheduled function, in UTC. A run that is late or doubled does no
# harm: each takes a lease, and works through what is due.
resource "google_cloud_scheduler_job" "function" {
  for_each    = local.jobs
  name        = each.key
  region      = var.region
  description = each.value.summary
  schedule    = each.value.schedule
  time_zone   = "Etc/UTC"

  # At least the function's own time, or Scheduler calls a run failed that still works.
  attempt_deadline = "${min(1800, max(180, tonumber(trimsuffix(each.value.timeout, "s")) + 30))}s"

  retry_config {
    retry_count          = 1 # the next tick comes anyway
    min_backoff_duration = "30s"
  }

  http_target {
    uri         = google_cloud_run_v2_service.function[each.key].uri
    http_method = "POST"
    oidc_token {
      service_account_email = google_service_account.caller["schedule"].email
      audience              = google_cloud_run_v2_service.function[each.key].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.caller]
}
