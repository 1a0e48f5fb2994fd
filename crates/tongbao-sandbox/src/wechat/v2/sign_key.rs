//! The key for rehearsals below `/sandboxnew` (获取仿真测试验签密钥), had with the real one.

use super::key;
use crate::pretend::Pretend;
use crate::traffic::Verdict;
use tongbao_types::{HttpRequest, HttpResponse};
use tongbao_wechat::v2::{Refusal, SANDBOX_KEY_PATH, SandboxKey, communication_failure};

/// The newer address of the same.
const NEWER_PATH: &str = "/xdc/apiv2getsignkey/sign/getsignkey";

/// A request for the key.
pub(crate) struct Asked {
    asked: Result<SandboxKey, Refusal>,
    verdict: Verdict,
}

impl Asked {
    /// None for other paths.
    pub(crate) fn read(pretend: &Pretend, request: &HttpRequest) -> Option<Asked> {
        if ![SANDBOX_KEY_PATH, NEWER_PATH].contains(&request.path()) {
            return None;
        }
        let asked = SandboxKey::decode(request).and_then(|asked| {
            let ours = asked.mch_id == pretend.credentials.wechat.mch_id;
            let unknown = || Refusal::Communication("商户号mch_id不存在".to_owned());
            if !ours {
                return Err(unknown());
            }
            asked.verify(&key(pretend, false)).map(|()| asked)
        });
        let verdict = match &asked {
            Ok(_) => Verdict::Good { string: String::new() },
            Err(refusal) => Verdict::Missing { why: format!("{refusal:?}") },
        };
        Some(Asked { asked, verdict })
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    pub(crate) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        match &self.asked {
            Ok(asked) => asked.encode_reply(&key(pretend, true)),
            Err(Refusal::Communication(message) | Refusal::Business { message, .. }) => {
                communication_failure(message)
            }
        }
    }

    pub(crate) fn refuse(code: &str) -> HttpResponse {
        communication_failure(code)
    }
}
