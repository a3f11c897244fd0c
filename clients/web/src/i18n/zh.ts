import type { en } from './en';

export const zh: Record<keyof typeof en, string> = {
  app: 'Pigeon', you: '你', notes: '我的笔记', list_comma: '、', unnamed_group: '未命名群聊',
  tagline: '运行在你自己的树莓派上的私密聊天',

  login: '登录', login_busy: '正在登录…', register: '注册账号', user: '用户名', password: '密码',
  show_password: '显示密码', hide_password: '隐藏密码', invite_code: '邀请码',
  name: '昵称', name_hint: '其他人看到的名字', user_hint: '小写字母、数字、_ 和 -',
  to_register: '第一次使用？注册账号', to_login: '已有账号？去登录',
  expired: '你已退出登录，请重新登录。', wrong_login: '用户名或密码错误。',
  closed_hint: '账号由此服务器的管理员创建。',
  must_change: '设置新密码', must_change_hint: '你使用的是一次性密码，请设置自己的密码后继续。',
  old_password: '当前密码', new_password: '新密码', again_password: '再次输入新密码',
  password_differs: '两次输入的密码不一致。', password_short: '密码至少需要 8 个字符。',
  password_changed: '密码已修改，其他设备已退出登录。', change_password: '修改密码',

  elsewhere: 'Pigeon 已在另一个标签页中打开', elsewhere_hint: '同一时间只使用一个标签页，以保证消息有序。', use_here: '在此处使用',
  connecting: '正在连接…', waiting: '连接已断开，正在重试…', offline_note: '当前处于离线状态，恢复连接后会自动发送消息。',
  retry_now: '立即重试',

  chats: '聊天', search: '搜索', search_chats: '搜索聊天', new_chat: '发起聊天', new_group: '新建群聊', contacts: '通讯录',
  settings: '设置', admin: '系统管理', logout: '退出登录', menu: '菜单', back: '返回', close: '关闭', cancel: '取消', save: '保存',
  saved: '已保存', done: '完成', ok: '确定', copied: '已复制', create: '创建', next: '下一步', add: '添加', remove: '移除', loading: '加载中…',
  no_chats: '还没有聊天', no_chats_hint: '找个人打声招呼吧，所有内容都保存在你自己的服务器上。',
  start_chat: '发起聊天', no_match: '没有找到“{q}”', pick_chat: '选择一个聊天开始交流',
  pick_chat_hint: '或者发起新的聊天，消息只留在你自己的 Pigeon 里。',
  draft: '草稿：', unread_n: '{n} 条未读消息', mentioned_you: '有人提到了你',
  user_search: '昵称或用户名', user_search_hint: '输入以查找用户', nobody_found: '没有找到用户',
  group_title: '群聊名称', group_members: '成员', choose_members: '选择成员', n_members: '{n} 位成员', n_chosen: '已选 {n} 人',

  online: '在线', away: '离开', busy: '忙碌', offline: '离线', invisible: '隐身',
  seen_now: '刚刚在线', seen_min: '{n} 分钟前在线', seen_at: '最后在线：{when}', seen_never: '很久未上线',
  typing: '正在输入…', typing_one: '{name} 正在输入…', typing_many: '{n} 人正在输入…',
  today: '今天', yesterday: '昨天',

  message: '消息', write_message: '输入消息…', send: '发送', attach: '添加附件', emoji: '表情', edited: '已编辑',
  recalled: '消息已撤回', recalled_you: '你撤回了一条消息', recalled_by: '{name} 撤回了一条消息',
  new_messages: '以下是新消息', to_bottom: '回到最新消息', say_hello: '还没有消息',
  say_hello_hint: '向 {name} 打个招呼吧！', say_hello_group: '来发第一条消息吧。', notes_hint: '在这里记下想法、链接和文件，只有你自己能看到。',
  load_failed: '消息加载失败。', try_again: '重试', loading_older: '正在加载更早的消息…', beginning: '这是聊天的开头',
  reply: '回复', react: '表情回应', more: '更多', copy: '复制文字', edit: '编辑', recall: '撤回', download: '下载', read_by: '已读成员…',
  read_by_n: '{n} 人已读', read_by_all: '全部已读', nobody_read: '还没有人读过', delivered_to: '已送达', who_read: '已读',
  recall_ask: '撤回这条消息？', recall_hint: '所有人都将看不到它。', editing: '正在编辑消息', replying: '回复 {name}', original_gone: '更早的消息',
  st_sending: '发送中', st_waiting: '等待连接', st_sent: '已发送', st_delivered: '已送达', st_read: '已读', st_failed: '未发送',
  retry: '重试', delete: '删除', drop_here: '松开即可发送文件', file_too_big: '“{name}”太大了（上限 {max}）。', remove_file: '移除文件',
  caption: '添加说明…', open_picture: '查看图片', play: '播放', picture_failed: '图片加载失败',
  kind_image: '🖼 图片', kind_audio: '🎵 音频', kind_video: '🎬 视频', kind_file: '文件', kind_location: '📍 位置', kind_card: '名片', kind_custom: '未知类型的消息',
  uploading: '正在上传 {n} %', everyone: '所有人', jump_to_quote: '跳转到被引用的消息', messages_of: '与 {name} 的消息',

  group_info: '群聊信息', chat_info: '资料', about: '简介', rename: '修改名称', group_settings: '群聊设置',
  set_open: '任何人都可以加入', set_history: '新成员可以查看历史消息', set_members_invite: '成员可以邀请他人',
  invite: '邀请', invite_people: '邀请成员', kick: '移出群聊', kick_ask: '将 {name} 移出群聊？', make_admin: '设为管理员',
  make_member: '设为普通成员', make_owner: '转让群主', make_owner_ask: '将群主转让给 {name}？你将成为普通成员。',
  mute_1h: '禁言一小时', unmute: '解除禁言', muted: '已禁言', leave: '退出群聊', leave_ask: '退出“{name}”？', leave_owner: '退出之前请先转让群主。',
  role_member: '成员', role_admin: '管理员', role_owner: '群主', role_role_unset: '',
  op_created: '{by} 创建了群聊', op_invited: '{by} 邀请了 {users}', op_joined: '{by} 加入了群聊', op_left: '{by} 退出了群聊', op_kicked: '{by} 将 {users} 移出了群聊',
  op_role: '{by} 将 {users} 设为{role}', op_muted: '{by} 将 {users} 禁言', op_unmuted: '{by} 解除了 {users} 的禁言', op_muted_all: '{by} 开启了全员禁言', op_unmuted_all: '{by} 解除了全员禁言',
  op_renamed: '{by} 将群聊名称改为“{title}”', op_updated: '{by} 修改了群聊设置', you_are_muted: '你暂时不能在这里发言。',

  join: '加入群聊', not_member: '你不在此聊天中', not_member_hint: '如果这是开放的群聊，你可以加入。', copy_address: '复制群聊链接',

  no_contacts: '还没有联系人', no_contacts_hint: '搜索用户并发送联系人请求。', requests: '新的请求', your_contacts: '我的联系人', asked: '已发送请求', blocked: '黑名单',
  accept: '接受', decline: '拒绝', block: '拉黑', unblock: '取消拉黑', block_ask: '拉黑 {name}？对方将无法再给你发消息。', add_contact: '添加联系人', request_sent: '请求已发送', remove_contact: '删除联系人', write: '发消息',
  request_note: '打个招呼（可选）',

  profile: '个人资料', my_state: '状态', status_text: '状态文字', appearance: '外观', language: '语言', theme: '主题', theme_auto: '跟随系统', theme_light: '浅色', theme_dark: '深色',
  notify: '通知', notify_on: '显示通知', notify_denied: '浏览器不允许此页面发送通知。', notify_insecure: '通知功能需要 HTTPS。',
  devices: '设备', this_device: '本设备', last_used: '上次使用：{when}', log_out_device: '退出登录', security: '安全', change_picture: '更换头像', remove_picture: '移除头像',
  logout_ask: '在此设备上退出登录？', logout_unsent: '尚未发送的消息会保留在此设备上。',

  users: '用户', add_user: '添加用户', administrator: '管理员', disabled: '已停用', disable: '停用', enable: '启用', reset_password: '重置密码',
  one_time: '{name} 的一次性密码', one_time_hint: '仅显示一次，{name} 登录时必须修改。', leave_empty: '留空则生成一次性密码',
  disable_ask: '停用 {name}？其所有设备都将退出登录。', reset_ask: '为 {name} 生成新密码？', make_sysadmin: '设为管理员', unmake_sysadmin: '取消管理员',
  invitations: '邀请码', new_invite: '新建邀请码', uses: '可用次数', uses_left: '剩余 {n} 次', valid_for: '有效期', days_n: '{n} 天', valid_until: '有效期至 {when}', no_invites: '没有邀请码', system_status: '系统状态', refresh: '刷新', revoke: '撤销',

  s_services: '服务', s_store: '存储', s_backups: '备份', s_backup: '上次备份', s_never: '从未', s_engine: '类型', s_size: '大小', s_disk: '磁盘剩余空间', s_convs: '会话',
  s_messages: '消息', s_connections: '连接数', s_rate: '每秒消息数', s_temperature: '温度', s_since: '启动于 {when}', s_throttled: '树莓派已降频：请检查电源和散热。',

  err_invalid: '内容未被接受，请检查输入。', err_unauthenticated: '请重新登录。', err_forbidden: '你没有权限这样做。', err_not_found: '未找到。',
  err_conflict: '已经存在。', err_too_large: '内容太大。', err_rate_limited: '操作太快，请稍候。', err_overloaded: '服务器繁忙，请重试。',
  err_unavailable: '服务器尚未就绪，请重试。', err_uncertain: '服务器未及时响应。', err_internal: '服务器出错了。', err_offline: '无法连接到服务器。', err_timeout: '服务器未及时响应。', err_cancelled: '已取消。',
};
