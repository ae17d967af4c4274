# Alerts: those of infra/monitoring/alerts.yml, with the same expressions.
locals {
  alerts = merge([
    for group in yamldecode(file("${path.module}/../monitoring/alerts.yml")).groups :
    { for rule in group.rules : rule.alert => merge(rule, { group = group.name }) }
  ]...)

}

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.alert_email == "" ? toset([]) : toset([var.alert_email])
  display_name = "Operators"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.this]
}

resource "google_monitoring_alert_policy" "this" {
  for_each              = local.alerts
  display_name          = each.key
  combiner              = "OR"
  severity              = each.value.labels.severity == "page" ? "CRITICAL" : "WARNING"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  conditions {
    display_name = each.key
    condition_prometheus_query_language {
      query               = each.value.expr
      duration            = "${tonumber(trimsuffix(each.value.for, "m")) * 60}s"
      evaluation_interval = "60s"
      rule_group          = each.value.group
      alert_rule          = each.key
      # A metric is known to Cloud Monitoring only once it has had a value.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${each.value.annotations.summary}\n\nWhat to do: ${each.value.annotations.runbook}"
  }

  alert_strategy {
    auto_close = "3600s"
  }

  depends_on = [google_project_service.this]
}
